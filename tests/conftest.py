import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

root = Path(__file__).parents[1]
sample = root / 'data' / 'sample'


@pytest.fixture
def photos(tmp_path):
    "A nested folder of 24 photos of the sample."
    folder = tmp_path / 'photos'
    for i, f in enumerate(sorted(sample.glob('scenes/*.jpg'))[::10][:24]):
        where = folder / ('Öl' if i % 2 else 'b')
        where.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, where / f.name)
    return folder


@pytest.fixture(scope='session')
def light(tmp_path_factory):
    "The shipped model as an ONNX file, made by the command."
    file = tmp_path_factory.mktemp('onnx') / 'lite.onnx'
    colorlab('export', 'lite', '--out', file)
    return file


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    os.environ.setdefault('COLORLAB_CACHE', str(tmp_path_factory.mktemp('cache')))
    os.environ.setdefault('TQDM_DISABLE', '1')  # as the command does without a terminal; read when tqdm is imported


warm = multiprocessing.get_context(
    'forkserver'
)  # has imported what most commands import, which takes longer than most of them
warm.set_forkserver_preload(['colorlab.cli', 'colorlab.training'])


def command(args, where, env, out, err):
    "In a process of its own: the command `colorlab`, its output in two files."
    from colorlab.cli import main

    os.chdir(where)
    os.environ.clear()
    os.environ.update(env)
    for file, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = ['colorlab', *args]
    main()


def colorlab(*args, check=True, cwd='.', **own):
    """Run the command as a user would; the finished process.

    With an environment or limits of its `own` it imports everything anew.
    """
    args = [*map(str, args)]
    if own:
        done = subprocess.run(
            [Path(sys.executable).with_name('colorlab'), *args], capture_output=True, text=True, cwd=cwd, **own
        )
    else:
        with tempfile.TemporaryDirectory() as folder:
            said = [Path(folder) / 'out', Path(folder) / 'err']
            process = warm.Process(target=command, args=(args, cwd, dict(os.environ), *said))
            process.start()
            process.join()
            done = subprocess.CompletedProcess(args, process.exitcode, *(f.read_text() for f in said))
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done
