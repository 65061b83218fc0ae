import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

try:
    import pandas

    pandas.options.mode.string_storage = 'python'  # as the command does: Arrow refuses names that are no Unicode
except ImportError:
    pass

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
    os.environ.setdefault('COLORLAB_PROGRESS_SECONDS', '600')  # tests count lines, however slow the machine


# A server that has imported what the commands import, which takes longer than most of them, and forks for each.
warm = multiprocessing.get_context('forkserver')
own = ['cli', 'training', 'compare', 'demo', 'lite']
others = ['av', 'cv2', 'onnxruntime', 'pytest', 'tifffile', 'timm', 'torchvision.transforms.v2.functional']
warm.set_forkserver_preload([*(f'colorlab.{name}' for name in own), *others])


def command(args, where, env, out, err, file_limit):
    "In a process of its own: the command `colorlab`, its output in two files."
    from colorlab.cli import main

    os.chdir(where)
    os.environ.clear()
    os.environ.update(env)
    for file, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY), descriptor)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    sys.argv = ['colorlab', *args]
    main()


class Running:
    "The command in a process of its own, to be watched and stopped; `file_limit`: no file grows beyond so many bytes."

    def __init__(self, *args, cwd='.', file_limit=None):
        self.folder = tempfile.TemporaryDirectory()
        self.args, self.said = [*map(str, args)], [Path(self.folder.name) / 'out', Path(self.folder.name) / 'err']
        for file in self.said:
            file.touch()
        self.process = warm.Process(target=command, args=(self.args, cwd, dict(os.environ), *self.said, file_limit))
        self.process.start()

    def output(self):
        "What it has said so far."
        return self.said[0].read_text()

    def wait_for(self, something):
        "Until `something()` is true, while it runs."
        while not something():
            assert self.process.is_alive(), self.end().stderr
            time.sleep(0.01)

    def end(self, signal=None):
        "The finished process, as `subprocess.run` gives it; a signal ends it now."
        if signal:
            os.kill(self.process.pid, signal)
        self.process.join()
        done = subprocess.CompletedProcess(self.args, self.process.exitcode, *(f.read_text() for f in self.said))
        self.folder.cleanup()
        return done


def colorlab(*args, check=True, env=None, **options):
    """Run the command as a user would; the finished process.

    With an environment of its own it imports everything anew.
    """
    if env:
        program = Path(sys.executable).with_name('colorlab')
        done = subprocess.run([program, *map(str, args)], env=env, capture_output=True, text=True, **options)
    else:
        done = Running(*args, **options).end()
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done
