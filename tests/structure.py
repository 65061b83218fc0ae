"""The shape of the project: run before everything else by tests/run."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

root = Path(__file__).parents[1]
course = sorted((root / 'nbs').glob('*.ipynb'))
extras = sorted((root / 'nbs' / 'extras').glob('*.ipynb'))
lessons = course + extras
all_notebooks = sorted((root / 'nbs').rglob('*.ipynb'))
names = [p.stem.split('_', 1)[1] for p in lessons]
config = ConfigParser()
config.read(root / 'settings.ini')
cfg = config['DEFAULT']


def cells(path, kind):
    return [''.join(c['source']) for c in json.loads(path.read_text())['cells'] if c['cell_type'] == kind]


def test_exports_and_notebooks_are_in_step(tmp_path):
    "Exporting and cleaning again changes nothing."
    for name in ('nbs', 'colorlab', 'pyproject.toml', 'settings.ini'):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, tmp_path / name)
    for command in ('nbdev-export', 'nbdev-clean'):
        subprocess.run([Path(sys.executable).with_name(command)], cwd=tmp_path, check=True)
    for path in [*(root / 'colorlab').glob('*.py'), *all_notebooks]:
        again = tmp_path / path.relative_to(root)
        assert again.read_text() == path.read_text(), f'{path.name}: run nbdev-export and nbdev-clean'
    assert {p.name for p in (tmp_path / 'colorlab').glob('*.py')} == {p.name for p in (root / 'colorlab').glob('*.py')}


@pytest.mark.parametrize('path', lessons, ids=names)
def test_module_is_named_like_its_notebook(path):
    assert f'#| default_exp {path.stem.split("_", 1)[1]}' in cells(path, 'code')
    assert (root / 'colorlab' / f'{path.stem.split("_", 1)[1]}.py').exists()


@pytest.mark.parametrize('name', names)
def test_imports_run_downward_and_name_what_they_take(name):
    tree = ast.parse((root / 'colorlab' / f'{name}.py').read_text())
    above = names[: names.index(name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or '').startswith('colorlab')
        ):  # nbdev writes .lab for colorlab.lab
            assert node.module.split('.')[-1] in above, f'{name} imports {node.module}, a later lesson'
            assert all(a.name != '*' for a in node.names), f'{name} imports everything from {node.module}'


@pytest.mark.parametrize('name', names)
def test_opencv_is_not_needed_to_import(name):
    tree = ast.parse((root / 'colorlab' / f'{name}.py').read_text())
    taken = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names} | {
        n.module for n in tree.body if isinstance(n, ast.ImportFrom)
    }
    assert 'cv2' not in taken


@pytest.mark.parametrize('path', all_notebooks, ids=lambda p: p.stem)
def test_notebook_installs_from_the_repository_and_is_small(path):
    installs = [c for c in cells(path, 'code') if '!pip install' in c]
    assert len(installs) == 1 and installs[0].startswith('#| eval: false') and f'git+{cfg["git_url"]}"' in installs[0]
    assert path.stat().st_size < 400_000, 'smaller or fewer pictures'
    outputs = [o for c in json.loads(path.read_text())['cells'] for o in c.get('outputs', [])]
    assert not any(o['output_type'] == 'error' for o in outputs)


def test_readme_has_a_badge_for_every_notebook_and_two_commands():
    readme = (root / 'README.md').read_text()
    user, repo, branch = cfg['user'], cfg['repo'], cfg['branch']
    assert cfg['git_url'] == f'https://github.com/{user}/{repo}'
    for path in all_notebooks:
        where = path.relative_to(root).as_posix()
        assert f'https://colab.research.google.com/github/{user}/{repo}/blob/{branch}/{where}' in readme, where
    assert set(re.findall(r'colab\.research\.google\.com/github/\S+?\.ipynb', readme)) == {
        f'colab.research.google.com/github/{user}/{repo}/blob/{branch}/{p.relative_to(root).as_posix()}'
        for p in all_notebooks
    }
    for link in re.findall(r'\]\(([^)#:]+)\)', readme):
        assert (root / link).exists(), f'README links to {link}, which is not there'
    assert 'make demo' in readme and 'make test' in readme


def test_metadata_agree():
    project = tomllib.loads((root / 'pyproject.toml').read_text())
    assert project['project']['name'] == cfg['name'] == project['tool']['nbdev']['title']
    assert project['project']['requires-python'] == f'>={cfg["min_python"]}'
    assert project['project']['urls']['Repository'] == cfg['git_url']
    assert project['tool']['nbdev']['branch'] == cfg['branch']
    for key in ('lib_path', 'nbs_path', 'doc_path'):
        assert project['tool']['nbdev'][key] == cfg[key]


def test_every_exported_function_has_a_docstring():
    for name in names:
        for node in ast.parse((root / 'colorlab' / f'{name}.py').read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith('_'):
                assert ast.get_docstring(node), f'{name}.{node.name} says nothing about itself'
