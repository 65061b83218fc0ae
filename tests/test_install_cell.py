"""The cell with which every final notebook installs colorlab, on machines that have none."""

import json
import os
import subprocess
import sys

import pytest
from address import BROUGHT, files, install_cell, settings, short_name, updated, with_address
from conftest import root
from platforms.machine import Machine, here, unshare

final = sorted((root / 'nbs' / 'train').glob('*.ipynb'))
needs_mounts = pytest.mark.skipif(unshare() is None, reason='this system gives a process no mounts of its own')


@pytest.fixture(params=['colab', 'kaggle'])
def machine(request, tmp_path):
    with Machine(request.param, tmp_path / 'root') as machine:
        yield machine


def install(machine, **own):
    "Run the cell with a Python that knows no colorlab; what pip was asked for, and what was printed."
    env = os.environ | dict(PYTHONPATH=f'{here / "pip_stand_in"}:/site') | own
    run = machine.command(sys._base_executable, '-c', install_cell())
    done = subprocess.run(run, env=env, cwd='/', capture_output=True, text=True)
    asked = machine.path('/asked')
    return asked.read_text() if asked.exists() else None, done.stdout, done.returncode


@needs_mounts
def test_from_its_address_but_not_twice(machine):
    cfg = settings()
    versions = f'https://raw.githubusercontent.com/{cfg["user"]}/{cfg["repo"]}/{cfg["release"]}/nbs/constraints.txt'
    wanted = f'-c {versions} colorlab[eval] @ git+{cfg["git_url"]}@{cfg["release"]}'
    assert install(machine) == (wanted, '', 0)
    machine.path('/asked').unlink()
    assert install(machine) == (None, '', 0)


@needs_mounts
def test_from_a_wheel_beside_the_notebook(machine):
    (machine.path(machine.home) / 'colorlab-0.1.0-py3-none-any.whl').touch()
    assert install(machine, OFFLINE='1') == (f'{machine.home}/colorlab-0.1.0-py3-none-any.whl[eval]', '', 0)


@needs_mounts
def test_from_a_zip_of_the_repository(machine):
    (machine.path(machine.home) / 'colorlab-main.zip').touch()
    assert install(machine, OFFLINE='1') == (f'{machine.home}/colorlab-main.zip[eval]', '', 0)


@needs_mounts
def test_from_what_kaggle_has_unpacked(tmp_path):
    with Machine('kaggle', tmp_path / 'root') as machine:
        repository = machine.path('/kaggle/input/my-colorlab/colorlab-main')
        repository.mkdir(parents=True)
        (repository / 'setup.py').touch()
        asked, _, failed = install(machine, OFFLINE='1')
        assert not failed and asked.endswith('/colorlab[eval]')
        assert not asked.startswith('/kaggle/input')  # pip would write there


@needs_mounts
def test_a_failure_says_what_to_do(machine):
    (machine.path(machine.home) / 'colorlab').mkdir()  # a folder of that name is no package
    _, said, failed = install(machine, OFFLINE='1')
    assert failed and 'Could not resolve host' in said and 'Upload its wheel' in said and said.count('\n') == 3


@pytest.mark.parametrize('path', final, ids=lambda p: p.stem)
def test_every_final_notebook_has_this_cell(path):
    cells = [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type'] == 'code']
    assert install_cell() in cells[:2], 'run `make address`'  # after the choices, where there are some
    assert not [cell for cell in cells if '!pip' in cell or 'drive.mount' in cell]


def test_one_place_for_the_address():
    "Everything that names it is as `make address` writes it; another address would go everywhere."
    assert not [path.name for path in files() if updated(path) != path.read_text()]
    other = dict(
        name='colorlab-fork', user='somebody', repo='fork', release='v9', git_url='https://github.com/somebody/fork'
    )
    for path in files():
        if path.name == 'constraints.txt':
            continue
        text = with_address(updated(path), other)
        wanted = 'github.com/somebody/fork' if path.suffix != '.md' else 'github/somebody/fork/blob/v9/nbs/'
        assert wanted in text, path.name
        if 'pip install' in text or path.name == 'pyproject.toml':
            assert 'colorlab-fork' in text, path.name
        if path.suffix == '.ipynb':
            assert 'git+https://github.com/somebody/fork@v9' in text, path.name
            assert 'https://raw.githubusercontent.com/somebody/fork/v9/nbs/constraints.txt' in text, path.name
        assert with_address(text) == updated(path)


def test_versions_of_install_cells():
    "What the tests pass with, except for what Colab and Kaggle bring: torch, NumPy and others stay theirs."
    chosen, all_versions = (
        {short_name(line): line for line in path.read_text().splitlines() if not line.startswith('#')}
        for path in (root / 'nbs' / 'constraints.txt', root / 'constraints.txt')
    )
    assert {'fastai', 'timm', 'onnxruntime', 'simplejpeg'} < {*chosen} and not {*chosen} & {*BROUGHT.split()}
    assert chosen == {name: all_versions[name] for name in chosen}
