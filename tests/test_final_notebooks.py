"""Final notebooks, whole, on stand-ins for Colab, Kaggle and a laptop: killed, run again, changed, with a full Drive.

Small here; all notebooks in all places with COLORLAB_PLATFORMS=all, which prints a line for each.
"""

import os
import shutil
import subprocess
import sys
import time

import pytest
from address import install_cell
from conftest import root, sample
from platforms.machine import Machine, here, peak_mb, unshare

pytestmark = pytest.mark.skipif(unshare() is None, reason='this system gives a process no mounts of its own')
final = sorted((root / 'nbs' / 'train').glob('*.ipynb'))
anything = final[0]  # the one that trains any system
everything = os.environ.get('COLORLAB_PLATFORMS') == 'all'
SMALL = dict(COLORLAB_SMALL_EPOCHS='3', COPY_OFTEN='1')


def models(runs):
    "All models below a folder of runs, by their relative path."
    return {str(file.relative_to(runs)): file.read_bytes() for file in sorted(runs.rglob('model.safetensors'))}


def size(folder):
    "Bytes of all files below a folder."
    return sum(file.stat().st_size for file in folder.rglob('*') if file.is_file())


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    "What a laptop makes of the notebook in one go, and again in the same kernel."
    with Machine('laptop', tmp_path_factory.mktemp('laptop') / 'root') as machine:
        said = machine.run(anything, times=2, env=SMALL)
        assert peak_mb(said) < 3000
        return models(machine.runs)


def test_a_session_on_colab_dies_and_the_next_goes_on_exactly(undisturbed, tmp_path):
    with Machine('colab', tmp_path / 'root') as machine:
        copied = machine.drive / 'MyDrive' / 'colorlab-runs'
        machine.run(anything, env=SMALL, kill_when=lambda: [*copied.rglob('settings.json')])
        machine.new_session()
        said = machine.run(anything, env=SMALL)
        assert 'goes on from /content/drive/MyDrive/colorlab-runs/' in said
        assert models(machine.runs) == models(copied) == undisturbed
        assert size(machine.drive / '.Trash') < 100_000  # of many megabytes that were replaced


def test_a_session_on_kaggle_ends_and_its_output_is_found_by_the_next(undisturbed, tmp_path):
    with Machine('kaggle', tmp_path / 'root') as machine:
        machine.run(anything, env=SMALL, kill_when=lambda: [*machine.runs.rglob('epoch-0001.pt')])
        machine.new_session()
        said = machine.run(anything, env=SMALL)
        assert 'goes on from /kaggle/input/output-' in said
        assert models(machine.runs) == undisturbed
