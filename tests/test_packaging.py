"""The package as a user gets it: from a checkout, an editable install and a wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import root

FIND = """
import colorlab
from colorlab.images import old_photos_folder, photo_files, sample_folder
assert len(photo_files(old_photos_folder())) == 12
print(colorlab.__file__)
print(sample_folder(), len(photo_files(sample_folder())))
"""


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "Built from a copy, for two builds in one folder at once (of two workers of pytest) spoil each other."
    out, source = tmp_path_factory.mktemp('wheel'), tmp_path_factory.mktemp('source') / 'colorlab'
    others = 'build', 'dist', 'demo', 'nbs', 'docs', 'benchmarks', 'tests', 'labs', 'slides', '.*', '*.egg-info'
    shutil.copytree(root, source, ignore=shutil.ignore_patterns(*others))
    subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', out, source],
        check=True,
        capture_output=True,
    )
    return next(out.glob('*.whl'))


def find(cwd, **env):
    run = subprocess.run(
        [sys.executable, '-c', FIND], cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=True
    )
    where, found = run.stdout.splitlines()
    folder, n = found.rsplit(' ', 1)
    return Path(where), Path(folder), int(n)


def test_checkout(tmp_path):
    where, folder, n = find(tmp_path, PYTHONPATH=str(root))
    assert (where.parent.parent, folder, n) == (root, root / 'data' / 'sample', 276)


def test_editable_install(tmp_path):  # as made by `make`
    assert find(tmp_path)[1:] == (root / 'data' / 'sample', 276)


def test_wheel(wheel, tmp_path):
    subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', tmp_path / 'site', wheel],
        check=True,
        capture_output=True,
    )
    where, folder, n = find(tmp_path, PYTHONPATH=str(tmp_path / 'site'))
    assert where.is_relative_to(tmp_path) and folder == tmp_path / 'site' / 'colorlab' / 'sample' and n == 276


def test_wheel_carries_what_it_should(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        'colorlab/sample/ATTRIBUTION.csv',
        'colorlab/sample/README.md',
        'colorlab/old_photos/ATTRIBUTION.csv',
        'colorlab/old_photos/1865-boatmen-nagasaki.jpg',
        'colorlab/assets/demo.html',
        'colorlab/assets/lite.safetensors',
        'colorlab/assets/sr2.safetensors',
        'colorlab/assets/sr4.safetensors',
        'colorlab/assets/sr2.onnx',
        'colorlab/assets/sr4.onnx',
        'colorlab/assets/SHA256SUMS',
    } <= set(names)
    assert any(n.endswith('LICENSE') for n in names)
    assert not any(n.startswith(('tests', 'nbs', 'data', 'benchmarks')) for n in names)


def test_every_model_has_its_check_sum():
    "If not: cd colorlab/assets && sha256sum *.safetensors *.onnx > SHA256SUMS"
    assets = root / 'colorlab' / 'assets'
    listed = dict(reversed(line.split()) for line in (assets / 'SHA256SUMS').read_text().splitlines())
    assert listed == {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest()
        for f in assets.iterdir()
        if f.suffix in ('.safetensors', '.onnx')
    }
