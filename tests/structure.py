"""The shape of the project: run before everything else by tests/run."""

import ast
import graphlib
import json
import pydoc
import re
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from datetime import date
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

root = Path(__file__).parents[1]
sys.path.insert(0, str(root / 'benchmarks'))
from density import code_lines, without_docstring  # noqa: E402

course = sorted((root / 'nbs').glob('[0-9]*.ipynb'))
foundations = sorted((root / 'nbs' / 'foundations').glob('*.ipynb'))
extras = sorted((root / 'nbs' / 'extras').glob('*.ipynb'))
interfaces = sorted((root / 'nbs' / 'interfaces').glob('*.ipynb'))
final = sorted((root / 'nbs' / 'train').glob('*.ipynb'))
all_notebooks = course + foundations + extras + interfaces + final
lessons = course[1:-1] + foundations + extras + interfaces  # the first and the last show what the others build


def module_of(path):
    return path.stem.split('_', 1)[1]


names = [module_of(p) for p in lessons]
sources = {name: root / 'colorlab' / f'{name}.py' for name in names}
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
        assert again.read_text() == path.read_text(), f'{path.name}: run `make export`'
    assert {p.name for p in (tmp_path / 'colorlab').glob('*.py')} == {p.name for p in (root / 'colorlab').glob('*.py')}


@pytest.mark.parametrize('path', lessons, ids=names)
def test_module_is_named_like_its_notebook(path):
    assert f'#| default_exp {module_of(path)}' in cells(path, 'code')
    assert sources[module_of(path)].exists()


def own_imports(source):
    "The (module, names) that a piece of code imports from colorlab's own modules."
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').startswith('colorlab.')):
            yield node.module.split('.')[-1], [alias.name for alias in node.names]  # nbdev writes .lab for colorlab.lab


@pytest.mark.parametrize('path', lessons, ids=names)
def test_imports_run_downward_and_name_what_they_take(path):
    "In each folder only earlier notebooks are imported; the lessons and their foundations lean on each other."
    name, room = module_of(path), [module_of(p) for p in lessons if p.parent == path.parent]
    for module, taken in own_imports(sources[name].read_text()):
        assert module not in room[room.index(name) :], f'{name} imports {module}, a later notebook'
        assert '*' not in taken, f'{name} imports everything from {module}'


def test_imports_run_in_no_circle():
    graphlib.TopologicalSorter({n: {m for m, _ in own_imports(sources[n].read_text())} for n in names}).prepare()


@pytest.mark.parametrize('path', course + foundations + extras, ids=module_of)
def test_no_room_imports_from_a_later_one(path):
    allowed = {module_of(p) for p in course + foundations + (extras if path in extras else [])}
    for cell in cells(path, 'code'):
        for module, _ in own_imports(TransformerManager().transform_cell(cell)):
            assert module in allowed, f'{path.name} imports {module}, which is of a later room'


def defined_names(source):
    "The names that a module defines at its top level; methods patched onto a class are not among them."
    for node in ast.parse(source).body:
        patched = 'patch' in [getattr(d, 'id', '') for d in getattr(node, 'decorator_list', [])]
        if hasattr(node, 'name') and not patched:
            yield node.name
        for target in getattr(node, 'targets', []):
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def test_no_name_is_defined_in_two_modules():
    where = {}
    for name, file in sources.items():
        for one in defined_names(file.read_text()):
            where.setdefault(one, set()).add(name)
    assert not {one: at for one, at in where.items() if len(at) > 1 and one != '__all__'}


@pytest.mark.parametrize('name', names)
def test_module_is_short_and_its_lines_are(name):
    source = sources[name].read_text()
    assert len(source.splitlines()) <= 450, 'one idea a module, about 400 lines'
    assert max(map(len, source.splitlines())) <= 120


def test_lines_of_code_are_short_on_average():
    lines = [line for file in sources.values() for line in code_lines(file.read_text())]
    assert sum(map(len, lines)) / len(lines) <= 48


def test_no_cell_shows_its_picture_twice():
    "`show_strip` returns the figure that it draws; as the last line of a cell it wants a semicolon."
    for path in all_notebooks:
        for cell in cells(path, 'code'):
            statements = [line for line in cell.splitlines() if line[:1].isalpha()]
            shown_last = bool(statements) and statements[-1].startswith('show_strip(')
            assert not shown_last or cell.endswith(';'), f'{path.name}: {statements[-1]}'


@pytest.mark.parametrize('path', lessons, ids=names)
def test_exported_cells_are_short_or_say_why_not(path):
    for cell in cells(path, 'code'):
        if cell.startswith('#| export') and len(cell.splitlines()) > 30:
            assert '# long: ' in cell, (
                f'{path.name}: an exported cell of {len(cell.splitlines())} lines gives no reason'
            )


@pytest.mark.parametrize('name', names)
def test_opencv_is_not_needed_to_import(name):
    tree = ast.parse(sources[name].read_text())
    taken = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names} | {
        n.module for n in tree.body if isinstance(n, ast.ImportFrom)
    }
    assert 'cv2' not in taken


@pytest.mark.parametrize('path', all_notebooks, ids=lambda p: p.stem)
def test_notebook_installs_from_the_repository_and_is_small(path):
    if path not in final:  # those have a longer cell, see test_install_cell.py
        installs = [c for c in cells(path, 'code') if '!pip install' in c]
        assert len(installs) == 1 and installs[0].startswith('#| eval: false')
        assert f'git+{cfg["git_url"]}@{cfg["release"]}" \\\n  -c https://' in installs[0]
    assert path.stat().st_size < 400_000, 'smaller or fewer pictures'
    outputs = [o for c in json.loads(path.read_text())['cells'] for o in c.get('outputs', [])]
    assert not any(o['output_type'] == 'error' for o in outputs)


def test_every_notebook_is_listed_with_a_badge():
    listed = (root / 'nbs' / 'notebooks.md').read_text()
    user, repo, release = cfg['user'], cfg['repo'], cfg['release']
    assert cfg['git_url'] == f'https://github.com/{user}/{repo}'
    for path in all_notebooks:
        where = path.relative_to(root / 'nbs').as_posix()
        title = cells(path, 'markdown')[0].splitlines()[0].removeprefix('# ')
        assert f'[{title}]({where})' in listed, f'nbs/notebooks.md: the title of {where} is {title}'
    assert set(re.findall(r'colab\.research\.google\.com/github/\S+?\.ipynb', listed)) == {
        f'colab.research.google.com/github/{user}/{repo}/blob/{release}/{p.relative_to(root).as_posix()}'
        for p in all_notebooks
    }


@pytest.mark.parametrize('name', ['README.md', 'nbs/notebooks.md', 'benchmarks/README.md'])
def test_links_lead_somewhere(name):
    page = root / name
    for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', page.read_text()):
        assert (page.parent / link).exists(), f'{name} links to {link}, which is not there'


def test_readme_has_two_commands_and_can_be_read_in_minutes():
    readme = (root / 'README.md').read_text()
    assert 'make demo' in readme and 'make test' in readme
    assert len(readme.split()) < 1800


def test_metadata_agree():
    project = tomllib.loads((root / 'pyproject.toml').read_text())
    assert project['project']['name'] == cfg['name'] == project['tool']['nbdev']['title']
    assert project['project']['requires-python'] == f'>={cfg["min_python"]}'
    assert project['project']['urls']['Repository'] == cfg['git_url']
    assert project['tool']['nbdev']['branch'] == cfg['branch']
    for key in ('lib_path', 'nbs_path', 'doc_path'):
        assert project['tool']['nbdev'][key] == cfg[key]


def test_the_citation_names_the_version_and_its_day():
    "What somebody cites is what somebody installs."
    fields = dict(re.findall(r'^([\w-]+): *"?(.*?)"?$', (root / 'CITATION.cff').read_text(), re.M))
    assert (fields['version'], fields['license']) == (cfg['version'], cfg['license'])
    assert date.fromisoformat(fields['date-released'])


@pytest.mark.parametrize('name', names)
def test_every_public_function_class_and_method_has_a_docstring(name):
    assert not without_docstring(ast.parse(sources[name].read_text()))


def test_the_face_of_the_package():
    "Its names are those of the stub file, and come from where that says."
    import colorlab

    stub = ast.parse((root / 'colorlab' / '__init__.pyi').read_text())
    promised = {a.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert set(colorlab.__all__) == set(promised) <= set(dir(colorlab))
    for name, module in promised.items():
        assert getattr(colorlab, name).__module__ == f'colorlab.{module}', name
    assert (root / 'colorlab' / 'py.typed').exists()


def test_help_shows_the_parameters_of_the_face():
    "They stand in comments beside the parameters, where only the site showed them."
    import colorlab

    comments = dict(
        Colorizer='# of `Hint`',
        Hint='# pixels of the photo, from its left side',
        color_learner='# of `NETWORKS`',
        evaluate='# photos at most',
        fine_tune='# folder of the new run',
        list_models='# as in file names',
        photo_loaders='# photos in a batch',
        train='# go on with the run',
    )
    assert {*comments, 'BadInput'} == set(colorlab.__all__)
    for name, comment in comments.items():
        for _ in range(2):  # not twice, if somebody asks twice
            page = pydoc.plain(pydoc.render_doc(getattr(colorlab, name)))
        assert comment in page and 'Parameters:' in page, name
    assert page.count('Parameters:') == 1
