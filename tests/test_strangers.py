"""Files and names that somebody made to do harm: they are refused in one line, or shown as what they are."""

import os
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import colorlab, root
from PIL import Image

from colorlab.data import Manifest
from colorlab.doctor import diagnose, findings_text, write_doctor_page
from colorlab.images import BadInput, assets_folder, figure_svg, printable, write_page
from colorlab.results import write_results
from colorlab.runs import Run
from colorlab.scoring import folder_method

HOSTILE = '<img src=x onerror=alert(1)>\x1b[2J.jpg'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    "A folder of a gray photo and one with a hostile name."
    monkeypatch.setenv('COLORLAB_CACHE', str(tmp_path / 'cache'))
    photos = tmp_path / 'photos'
    photos.mkdir()
    Image.linear_gradient('L').save(photos / 'gray.png')
    Image.new('RGB', (80, 60), '#a03020').save(photos / HOSTILE)
    return photos


def test_a_name_steers_neither_a_page_nor_the_terminal(folder, tmp_path):
    page = write_doctor_page(diagnose(folder), tmp_path / 'page.html').read_text(encoding='utf-8')
    assert '<img src=x' not in page and '&lt;img src=x onerror' in page
    said = colorlab('doctor', folder).stdout
    assert '\x1b' not in said and r'onerror=alert(1)>\x1b[2J.jpg' in said


def test_templates_escape_everything_but_our_own_drawings():
    pages = ''.join(page.read_text(encoding='utf-8') for page in assets_folder().glob('*.html'))
    unescaped = set(re.findall(r'{{ *([\w.]+) *\| *(?:safe|tojson)', pages))
    assert unescaped <= {'svg', 'losses', 'curves', 'm.errors', 'design', 'service'}, 'the last two are JSON'
    fig, ax = plt.subplots()
    ax.set_title(HOSTILE[:-9])
    ax.plot([1], label=HOSTILE[:-9])
    ax.legend()
    assert '<img' not in figure_svg(fig).replace('<image', '')
    plt.close(fig)


def test_a_study_asks_with_hostile_words(tmp_path):
    design = dict(study='s', kind='rating', title=HOSTILE, question=HOSTILE, consent=[HOSTILE], choices={'1': HOSTILE})
    page = write_page('study_page.html', tmp_path / 'page.html', design=design, service=True).read_text()
    assert '<img src=x' not in page and '</script><script>' not in page


def test_what_is_no_photo_is_not_opened(folder):
    "PostScript would start Ghostscript, a pipe would be waited for, and /dev/zero never ends."
    (folder / 'eps.jpg').write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n')
    os.mkfifo(folder / 'pipe.jpg')
    (folder / 'zero.jpg').symlink_to('/dev/zero')
    said = findings_text(diagnose(folder))
    assert '3 cannot be read' in said
    for words in ('eps.jpg (not a picture', 'pipe.jpg (is no regular file', 'zero.jpg (is no regular file'):
        assert words in said


def test_doctor_opens_no_more_pixels_than_it_is_told(folder):
    Image.new('1', (5000, 4000)).save(folder / 'large.png')
    assert 'large.png (holds 20 megapixels' in findings_text(diagnose(folder, max_pixels=10_000_000))
    assert 'cannot be read' not in findings_text(diagnose(folder))


def test_every_opening_of_a_picture_is_the_one_that_names_the_formats():
    opens = [f'{file.name}: {line}' for file in (root / 'colorlab').glob('*.py') for line in code_that_opens(file)]
    assert opens == []


def code_that_opens(file):
    "Lines that open a picture with any format that Pillow knows."
    lines = file.read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if re.search(r'\bImage\.open\(', line) and '`' not in line]


def test_a_list_names_no_private_photo(folder, tmp_path):
    (tmp_path / 'private.jpg').write_bytes((folder / HOSTILE).read_bytes())
    (folder / 'manifest.csv').write_text('file,split\n../private.jpg,train\n')
    done = colorlab('doctor', folder, check=False)
    assert done.returncode == 1 and 'outside of the folder' in done.stderr and done.stderr.count('\n') == 1


def test_a_name_is_no_formula_in_a_table_of_scores(tmp_path):
    formulas = ['=HYPERLINK("http://x").jpg', '+1.jpg', '-1.jpg', '@SUM(A1).jpg', '\t=1.jpg', '\r=1.jpg']
    names = [*formulas, 'a=b.jpg', 'a\r=1.jpg']
    scores = pd.DataFrame(dict(file=names, psnr=-1.5, histograms=None))
    summary = pd.DataFrame(dict(psnr=[-1.5]), index=['gray'])
    write_results(tmp_path, SimpleNamespace(scores=scores, summary=summary, notes=[]))
    written = pd.read_csv(tmp_path / 'scores.csv')
    assert list(written.file) == [*(f"'{printable(name)}" for name in formulas), 'a=b.jpg', r'a\r=1.jpg']
    assert (written.psnr == -1.5).all()


def test_pictures_are_matched_with_their_endings_where_those_tell_truths_apart(tmp_path):
    truths = tmp_path / 'truths'
    truths.mkdir()
    for name, color in {'a.jpg': 'red', 'a.png': 'blue', 'b.jpg': 'green'}.items():
        Image.new('RGB', (32, 32), color).save(truths / name)
    manifest = Manifest(truths, pd.DataFrame(dict(file=['a.jpg', 'a.png', 'b.jpg'])))
    method = folder_method(truths, manifest, ['a.jpg', 'a.png', 'b.jpg'])
    assert {name: path.name for name, path in method.pictures.items()} == {f: f for f in manifest.table.file}
    other = tmp_path / 'other'
    other.mkdir()
    for name in ('a.png', 'b.webp'):
        Image.new('RGB', (32, 32)).save(other / name)
    assert folder_method(other, manifest, ['b.jpg']).pictures['b.jpg'].name == 'b.webp'
    with pytest.raises(BadInput, match='named like two truths'):
        folder_method(other, manifest, ['a.jpg', 'a.png'])


@pytest.mark.parametrize('name', ('history.csv', 'baselines.csv', 'manifest.csv', 'settings.json'))
@pytest.mark.parametrize('spoilt', (b'', b'\xff\xfe\x00', b'[' * 100_000, b'a,b\n1,2,3\n"'))
def test_a_spoilt_file_of_a_run_is_one_line(tmp_path, name, spoilt):
    (tmp_path / 'settings.json').write_text('{}')
    (tmp_path / name).write_bytes(spoilt)
    run = Run(tmp_path)
    read = dict(history=run.history, baselines=run.baselines, settings=run.settings)
    read['manifest'] = lambda: Manifest.load(run / 'manifest.csv', '.')
    with pytest.raises(BadInput) as said:
        read[name.partition('.')[0]]()
    assert '\n' not in str(said.value) and str(tmp_path) in str(said.value)
