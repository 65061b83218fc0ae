"""Final notebooks, whole, on stand-ins for Colab, Kaggle and a laptop: killed, run again, changed, with a full Drive.

Small here; all notebooks in all places with COLORLAB_PLATFORMS=all, which prints a line for each.
"""

import os

import pytest
from conftest import root, sample
from platforms.machine import Machine, peak_mb, times_of_runs, unshare

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


def trains_nothing_again(machine, said):
    "No weights in a folder of a run are newer than the beginning of the second run."
    _, second = times_of_runs(said)
    weights = [file for file in machine.found('*.safetensors') if (file.parent / 'settings.json').exists()]
    return max(file.stat().st_mtime for file in weights) < second[0]


@pytest.fixture
def own_photos(tmp_path):
    "A photo, and a file that is none."
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no picture')
    return sorted(sample.glob('things/*.jpg'))[0], broken


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    "What a laptop makes of the notebook in one go, and again in the same kernel."
    with Machine('laptop', tmp_path_factory.mktemp('laptop') / 'root') as machine:
        said = machine.run(anything, times=2, env=SMALL)
        assert peak_mb(said) < 3000 and trains_nothing_again(machine, said)
        return models(machine.runs)


def test_a_session_on_colab_dies_and_the_next_goes_on_exactly(undisturbed, own_photos, tmp_path):
    with Machine('colab', tmp_path / 'root') as machine:
        machine.give_photos(*own_photos)
        copied = machine.drive / 'MyDrive' / 'colorlab-runs'
        machine.run(anything, env=SMALL, kill_when=lambda: [*copied.rglob('settings.json')])
        machine.new_session()
        said = machine.run(anything, env=SMALL)
        assert 'goes on from /content/drive/MyDrive/colorlab-runs/' in said
        assert 'left out: my-photos/broken.jpg' in said and '1 of 1 photos are colored' in said
        assert models(machine.runs) == models(copied) == undisturbed
        assert size(machine.drive / '.Trash') < 100_000  # of many megabytes that were replaced
        machine.leave_on_drive(mb=2)
        said = machine.run(anything, env=SMALL, SYSTEM="'R2-unet'")
        assert said.count('(No space left on device)') == 1, said  # the training is not stopped by it
        assert len(models(machine.runs)) == 2 and models(copied) == undisturbed
        assert not [*machine.drive.rglob('.*.part')]


def test_a_session_on_kaggle_ends_and_its_output_is_found_by_the_next(undisturbed, own_photos, tmp_path):
    with Machine('kaggle', tmp_path / 'root') as machine:
        machine.give_photos(*own_photos)
        machine.run(anything, env=SMALL, kill_when=lambda: [*machine.runs.rglob('epoch-0001.pt')])
        machine.new_session()
        said = machine.run(anything, env=SMALL)
        assert 'goes on from /kaggle/input/output-' in said
        assert 'left out: /kaggle/input/my-photos/broken.jpg' in said and '1 of 1 photos are colored' in said
        assert models(machine.runs) == undisturbed


@pytest.mark.skipif(not everything, reason='COLORLAB_PLATFORMS=all runs them')
@pytest.mark.parametrize('place', ['colab', 'colab without Drive', 'kaggle', 'laptop'])
@pytest.mark.parametrize('path', final, ids=lambda p: p.stem)
def test_every_notebook_everywhere(path, place, own_photos, tmp_path):
    "Killed at its first run, then in a new session run twice."
    env = SMALL | dict(DRIVE_DECLINED='1') if 'without' in place else SMALL
    with Machine(place.split()[0], tmp_path / 'root') as machine:
        machine.give_photos(*own_photos)
        machine.run(path, env=env, kill_when=lambda: machine.found('history.csv') + machine.found('marks.csv'))
        machine.new_session()
        said = machine.run(path, times=2, env=env)
        seconds = ' and '.join(str(took) for _, took in times_of_runs(said))
        print(f'{path.stem:20}{place:20}{seconds} s, {peak_mb(said)} MB of memory,', end=' ')
        print(f'{size(machine.drive) / 1e6:.0f} MB on Drive, of which trash {size(machine.drive / ".Trash") / 1e6:.1f}')
        assert trains_nothing_again(machine, said)
        assert 'photos are colored' not in said or '1 of 1 photos are colored' in said
