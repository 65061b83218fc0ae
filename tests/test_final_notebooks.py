"""Final notebooks, whole, on stand-ins for Colab, Kaggle and a laptop: killed, run again, changed, with a full Drive.

Small here; all notebooks in all places with COLORLAB_PLATFORMS=all, which prints a line for each.
"""

import os
import time

import pytest
from conftest import root
from platforms.machine import Machine, peak_mb, unshare

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
        machine.leave_on_drive(mb=2)
        said = machine.run(anything, env=SMALL, SYSTEM="'R2-unet'")
        assert said.count('(No space left on device)') == 1, said  # the training is not stopped by it
        assert len(models(machine.runs)) == 2 and models(copied) == undisturbed
        assert not [*machine.drive.rglob('.*.part')]


def test_a_session_on_kaggle_ends_and_its_output_is_found_by_the_next(undisturbed, tmp_path):
    with Machine('kaggle', tmp_path / 'root') as machine:
        machine.run(anything, env=SMALL, kill_when=lambda: [*machine.runs.rglob('epoch-0001.pt')])
        machine.new_session()
        said = machine.run(anything, env=SMALL)
        assert 'goes on from /kaggle/input/output-' in said
        assert models(machine.runs) == undisturbed


@pytest.mark.skipif(not everything, reason='COLORLAB_PLATFORMS=all runs them')
@pytest.mark.parametrize('place', ['colab', 'colab without Drive', 'kaggle', 'laptop'])
@pytest.mark.parametrize('path', final, ids=lambda p: p.stem)
def test_every_notebook_everywhere(path, place, tmp_path):
    "Killed at its first run, then in a new session run twice."
    env = SMALL | dict(DRIVE_DECLINED='1') if 'without' in place else SMALL
    with Machine(place.split()[0], tmp_path / 'root') as machine:
        machine.run(path, env=env, kill_when=lambda: [*machine.runs.rglob('history.csv')])
        machine.new_session()
        began = time.time()
        said = machine.run(path, times=2, env=env)
        print(f'{path.stem:20}{place:20}{time.time() - began:5.0f} s, {peak_mb(said)} MB of memory,', end=' ')
        print(f'{size(machine.drive) / 1e6:.0f} MB on Drive, of which trash {size(machine.drive / ".Trash") / 1e6:.1f}')
        assert models(machine.runs)
