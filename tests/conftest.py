import os, shutil, subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).parents[1]
sample = root/'data'/'sample'


@pytest.fixture
def photos(tmp_path):
    "A nested folder of 24 photos of the sample."
    folder = tmp_path/'photos'
    for i, f in enumerate(sorted(sample.glob('scenes/*.jpg'))[::10][:24]):
        where = folder/('Öl' if i % 2 else 'b')
        where.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, where/f.name)
    return folder


@pytest.fixture(scope='session')
def light(tmp_path_factory):
    "The shipped model as an ONNX file, made by the command."
    file = tmp_path_factory.mktemp('onnx')/'lite.onnx'
    colorlab('export', 'lite', '--out', file)
    return file


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    os.environ.setdefault('COLORLAB_CACHE', str(tmp_path_factory.mktemp('cache')))


def colorlab(*args, check=True, **kwargs):
    "Run the command as a user would; the finished process."
    done = subprocess.run([Path(sys.executable).with_name('colorlab'), *map(str, args)], capture_output=True, text=True, **kwargs)
    if check: assert done.returncode == 0, done.stdout + done.stderr
    return done
