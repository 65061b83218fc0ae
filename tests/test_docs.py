"""The site is made from the notebooks as they are: nothing hidden is shown, nothing left out. Sphinx: `make docs`."""

import json
import re
import sys

import pytest
from conftest import root

sys.path.insert(0, str(root / 'docs'))
import prepare  # noqa: E402
import reference  # noqa: E402

notebooks = [p for p in prepare.documents() if p.suffix == '.ipynb']
cnn = next(p for p in notebooks if prepare.page(p) == 'course/cnn')


def test_every_notebook_and_text_is_in_one_table_of_contents():
    pages = prepare.pages()
    contents = [text for page in pages.values() for text in re.findall(r'```{toctree}\n(.*?)```', page, re.S)]
    listed = re.findall(r'^(?:.*<)?/?([\w/]+)>?$', re.sub(r'^:.*$', '', '\n'.join(contents), flags=re.M), re.M)
    expected = {prepare.page(p) for p in prepare.documents()} | {'api/colorlab/index'}
    expected |= {name for name in pages if name.endswith('/index')}
    assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize(
    'source, shown',
    [
        ('#| hide\nimport json', ''),
        ('#| default_exp cnn', ''),
        ('#| export\nx = 1', 'x = 1'),
        ('#| eval: false\n!pip install x', '!pip install x'),
        ('#| eval: false\n!pip install x \\\n  -c y', '!pip install x -c y'),
        ('x = 1  #| no directive\n# hide', 'x = 1  #| no directive\n# hide'),
    ],
)
def test_hidden_cells_and_directives_are_not_shown(source, shown):
    assert prepare.without_directives(source) == shown


def test_no_page_shows_a_directive_and_outputs_stay():
    before = json.loads(cnn.read_text())['cells']
    after = prepare.for_site_notebook(cnn)['cells']
    assert not any(re.search(r'^#\|', cell['source'], re.M) for cell in after)
    hidden = sum('#| hide' in cell['source'][0] for cell in before if cell['source'])
    assert hidden and len(after) == len(before) - hidden  # one cell names the module, one holds the badges
    pictures = [o for cell in before for o in cell.get('outputs', [])]
    assert pictures and pictures == [o for cell in after for o in cell.get('outputs', [])]


@pytest.mark.parametrize('path', notebooks, ids=lambda p: p.stem)
def test_badges_open_this_notebook(path):
    where = path.relative_to(root).as_posix()
    user, repo, release = (prepare.cfg[name] for name in ('user', 'repo', 'release'))
    line = prepare.badges(path)
    assert f'(https://colab.research.google.com/github/{user}/{repo}/blob/{release}/{where})' in line
    assert f'(https://kaggle.com/kernels/welcome?src=https://github.com/{user}/{repo}/blob/{release}/{where})' in line


@pytest.mark.parametrize(
    'text, on_site',
    [
        ('[U-Net](08_unet.ipynb#skips)', '[U-Net](/course/unet.ipynb#skips)'),
        ('[rows](reports.md)', '[rows](/reports.md)'),
        ('![](images/old.jpg)', '![](/images/old.jpg)'),
        ('[how](../CONTRIBUTING.md)', f'[how]({prepare.blob(root / "CONTRIBUTING.md")})'),
        ('[paper](https://arxiv.org/abs/1505.04597)', '[paper](https://arxiv.org/abs/1505.04597)'),
        ('[gone](99_gone.ipynb)', '[gone](99_gone.ipynb)'),  # Sphinx warns
        ('Lesson `unet`; lessons `gan` and `lite`', None),
        ('by `rgb_to_lab` or `nothing`', 'by {py:obj}`rgb_to_lab <colorlab.lab.rgb_to_lab>` or `nothing`'),
        ('```\n`rgb_to_lab` [x](reports.md)\n```', '```\n`rgb_to_lab` [x](reports.md)\n```'),
    ],
)
def test_links_lead_to_pages(text, on_site):
    linked = 'Lesson [`unet`](/course/unet.ipynb); lessons [`gan`](/course/gan.ipynb) and [`lite`](/extras/lite.ipynb)'
    text = text.replace('08_unet.ipynb', next(p.name for p in notebooks if prepare.page(p) == 'course/unet'))
    assert prepare.for_site(text, cnn) == (on_site or linked)


def test_comments_beside_parameters_become_a_table(tmp_path, monkeypatch):
    (tmp_path / 'made_up.py').write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(reference, 'package', tmp_path)
    names = ('SIZES', 'Box', 'Net', 'fit')
    monkeypatch.setattr(reference, 'NAMES', {name: f'made_up.{name}' for name in names})
    monkeypatch.setattr(reference.importlib, 'import_module', lambda name: __import__('made_up'))
    text = reference.readable(tmp_path / 'made_up.py', 'course/made_up')
    assert ':doc:`/course/made_up`' in text and 'hidden' not in text
    assert "SIZES = (1, 2)\n'of pictures'" in text
    assert '* - ``net``\n     - that learns, a :py:obj:`Net <made_up.Net>`' in text
    assert '* - ``kwargs``\n     - of an optimizer' in text and '* - *returns*\n     - the last loss' in text
    assert 'def __init__(self, w: int=1)' in text and '* - ``w``\n     - width' in text
    assert text.index('class Net') < text.index('def grow(self, by') < text.index('def fit')
    assert '* - ``by``\n     - layers' in text


MODULE = """
from dataclasses import dataclass

from fastcore.basics import patch

SIZES = 1, 2  # of pictures


@dataclass
class Box:
    "A box."

    w: int = 1  # width


class Net:
    "A net."


def _hidden():
    return 1


def fit(
    net,  # that learns, a `Net`
    *,
    epochs: int = 1,  # passes
    **kwargs,  # of an optimizer
):  # the last loss
    "Fit it."


@patch
def grow(
    self: Net,
    by: int = 1,  # layers
):
    "Make it deeper."
"""
