"""Names, links, locked folders, limits of formats: what cannot be done is one line, and the rest is done."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from colorlab.cli import app
from colorlab.colorize import Upscaler, color_files
from colorlab.colorizer import Colorizer
from colorlab.images import BadInput, photo_files
from colorlab.lab import LAB, SPACES

colorizer = Colorizer(lambda x: np.full((1, 2, *x.shape[-2:]), 0.1, np.float32), LAB, 64, dict(model='m', sha256='0'))
gray = Image.fromarray(np.random.default_rng(42).integers(0, 256, (24, 32), np.uint8))


def color(folder, out, **options):
    "All of a folder, by a model that paints all alike."
    return color_files(colorizer, [folder], out, progress=False, **options)


@pytest.mark.parametrize(
    'names',
    [
        ['IMG_1.JPG', 'img_1.jpg', 'Img_1.jpg', 'other.jpg'],
        [unicodedata.normalize(form, 'Zoë am Fluß.png') for form in ('NFC', 'NFD')],
        ['Ärger.png', unicodedata.normalize('NFD', 'ärger.png')],
        ['a.jpg', 'a.png', 'a.tif'],  # different ones everywhere
        [
            'x' * 251 + '.jpg',
            'ま' * 83 + '.jpg',
            '😀 кот.jpg',
            'two\nlines.jpg',
            '-dash.jpg',
            'trail .jpg',
            ' .jpg',
            '%s.jpg',
        ],
    ],
)
def test_every_name_is_colored_and_no_two_results_are_one_anywhere(tmp_path, names):
    (tmp_path / 'in').mkdir()
    for name in names:
        gray.save(tmp_path / 'in' / name)
    for again in range(2):
        got = color(tmp_path / 'in', tmp_path / 'out')
        assert got.failed == [] and len(got.skipped if again else got.done) == len(names)
        made = os.listdir(tmp_path / 'out')
        keys = {unicodedata.normalize('NFC', name.lower()) for name in made}
        assert len(made) == len(keys) == len(names)
        assert len(got.messages) == len(set(made) - set(names)) and all('one on some disks' in m for m in got.messages)


def test_names_that_are_no_utf8(tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    for name in (b'caf\xe9.png', b'torn caf\xe9.png'):
        gray.save(os.fsdecode(os.path.join(os.fsencode(tmp_path / 'in'), name)))
    with open(os.path.join(os.fsencode(tmp_path / 'in'), b'torn caf\xe9.png'), 'wb') as file:
        file.write(b'\x89PNG')
    got = color(tmp_path / 'in', tmp_path / 'out')
    assert len(got.done) == 1 and len(got.failed) == 1 and got.failed[0].isascii()
    assert os.listdir(os.fsencode(tmp_path / 'out')) == [b'caf\xe9.png']
    assert app(['inspect', str(got.done[0])], standalone_mode=False) is None
    assert 'by the model m' in capsys.readouterr().out


def test_links_pipes_and_folders_called_like_photos(tmp_path):
    box = tmp_path / 'in'
    (box / 'album.jpg').mkdir(parents=True)
    gray.save(box / 'a.jpg')
    gray.save(box / 'album.jpg' / 'b.jpg')
    (box / 'link.jpg').symlink_to('a.jpg')
    (box / 'dangling.jpg').symlink_to('nowhere.jpg')
    (box / 'circle.jpg').symlink_to('circle.jpg')
    (box / 'again').symlink_to('.')
    (box / 'empty.jpg').touch()
    os.mkfifo(box / 'pipe.jpg')
    got = color(box, tmp_path / 'out')
    assert sorted(p.name for p in got.done) == ['a.jpg', 'b.jpg', 'link.jpg']
    assert len(got.failed) == 4 and not any('\n' in line for line in got.failed)
    again = color(box, box / 'out')  # results in a folder of the photos, and a link that leads there
    (box / 'made').symlink_to('out')
    assert len(again.done) == 3 == len(color(box, box / 'out').skipped)
    with pytest.raises(BadInput, match='would be written over'):
        color(box, box)


def test_what_is_passed_over_is_said_and_the_exit_code_says_so(tmp_path, monkeypatch, capsys):
    box, elsewhere = tmp_path / 'in', tmp_path / 'elsewhere'
    for folder in (box / 'locked', elsewhere):
        folder.mkdir(parents=True)
        gray.save(folder / 'b.png')
    gray.save(box / 'a.png')
    for name in ('1.dng', '2.dng', 'old.PSD'):
        (box / name).write_bytes(b'II*\0')
    (box / 'link').symlink_to(elsewhere)
    scandir = os.scandir

    def locked(path):
        if str(path).endswith('locked'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', locked)
    with pytest.raises(SystemExit) as e:
        app(['colorize', str(box), '--out', str(tmp_path / 'out')])
    said = capsys.readouterr()
    assert e.value.code == 1 and '1 photo colored' in said.out
    lines = said.err.splitlines()
    assert len(lines) == 4 and all(line.startswith('passed over: ') for line in lines)
    assert any('2 ending in ".dng"' in line for line in lines) and any('Permission denied' in line for line in lines)
    with pytest.raises(BadInput, match='holds no photo.*Permission denied') as e:
        photo_files(box / 'locked')
    assert '\n' not in str(e.value)


def test_limits_of_formats_are_said_before_the_work(tmp_path):
    def predict(x):
        assert x.shape[-1] <= 64, 'a photo was enlarged for nothing'
        return x.repeat(4, 2).repeat(4, 3)

    (tmp_path / 'in').mkdir()
    for name, width in (('a.webp', 4200), ('b.jpg', 16_400), ('z.png', 32)):
        gray.resize((width, 8)).save(tmp_path / 'in' / name)
    got = color(tmp_path / 'in', tmp_path / 'out', upscaler=Upscaler(predict, SPACES['sr4'], 4))
    assert [p.name for p in got.done] == ['z.png'] and Image.open(got.done[0]).size == (128, 32)
    assert ['WEBP ends at' in got.failed[0], 'JPEG ends at' in got.failed[1]] == [True, True]


def test_no_memory_and_no_right_to_write_cost_one_photo(tmp_path, monkeypatch):
    (tmp_path / 'in' / 'sub').mkdir(parents=True)
    for name in ('a.png', 'large.png', 'sub/c.png', 'z.png'):
        gray.resize((32 + 8 * (name == 'large.png'), 24)).save(tmp_path / 'in' / name)
    whole, mkdir = Colorizer.color_pixels, type(tmp_path).mkdir

    def color_pixels(self, pixels, *args):
        if pixels.shape[1] == 40:
            raise MemoryError
        return whole(self, pixels, *args)

    def locked(self, *args, **kwargs):
        if self.name == 'sub':
            raise PermissionError(13, 'Permission denied', str(self))
        return mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Colorizer, 'color_pixels', color_pixels)
    monkeypatch.setattr(type(tmp_path), 'mkdir', locked)
    got = color(tmp_path / 'in', tmp_path / 'out')
    assert [p.name for p in got.done] == ['a.png', 'z.png']
    assert 'not enough memory' in got.failed[0] and 'sub: nothing may be written' in got.failed[1]


def test_doctor_and_training_name_what_they_cannot(tmp_path):
    from colorlab.data import make_manifest
    from colorlab.doctor import diagnose, findings_text, fixed_listing, write_doctor_page

    folder = os.fsdecode(os.path.join(os.fsencode(tmp_path), b'f\xfcr Oma'))  # its own name is no UTF-8 either
    os.mkdir(folder)
    rng = np.random.default_rng(42)
    for name in ['a.png', 'b.png', 'c.png', os.fsdecode(b'caf\xe9.png'), 'two\nlines.png', 'é.png']:
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(os.path.join(folder, name))
    open(os.path.join(folder, 'empty.png'), 'w').close()
    os.mkfifo(os.path.join(folder, 'pipe.png'))
    for counts in (dict(), dict(train=2, val=1, test=1)):
        table = make_manifest(folder, **counts).table
        broken = table[table.verdict.str.startswith('broken')]
        assert all(name.isprintable() or '\n' in name for name in table.file) and len(broken) <= 3
        make_manifest(folder, **counts).save(tmp_path / 'manifest.csv')
    for _ in range(2):
        found = diagnose(folder)
        text = findings_text(found)
        assert '3 cannot be read' in text and 'its name is no UTF-8, rename it' in text and 'is empty' in text
        assert len(fixed_listing(found)) == 5
    write_doctor_page(found, tmp_path / 'doctor.html')


def test_studies_match_names_as_people_read_them_or_say_why_not(tmp_path):
    from colorlab.answers import csv_rows
    from colorlab.survey import build_study, match_versions

    rng = np.random.default_rng(42)

    def folder(name, *files):
        (tmp_path / name).mkdir()
        for file in files:
            Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(tmp_path / name / file)
        return tmp_path / name

    truth = folder('truth', 'é.png', 'b.png')
    assert set(match_versions(dict(truth=truth, m=folder('mac', 'e\u0301.png', 'b.png')))['m']) == {'é', 'b'}
    for other, words in (
        (folder('few', 'b.png'), 'no partner'),
        (folder('twice', 'é.png', 'e\u0301.png', 'b.png'), 'twice'),
        (folder('old', os.fsdecode(b'\xe9.png'), 'b.png'), 'no UTF-8'),
    ):
        with pytest.raises(BadInput, match=words):
            match_versions(dict(truth=truth, m=other))
    one = folder('one', 'b.png')
    with pytest.raises(BadInput, match='two photos'):
        build_study(one, dict(m=one), tmp_path / 'study', raters=4)
    assert not (tmp_path / 'study').exists()
    want = [['when', 'real? [p1]', 'ä [p2]'], ['1,5', '4', '3']]
    for delimiter, encoding in ((',', 'utf-8'), (';', 'utf-8-sig'), (';', 'cp1252'), ('\t', 'utf-16')):
        text = '\r\n'.join(delimiter.join(f'"{field}"' for field in row) for row in want)
        for head in ('', f'sep={delimiter}\r\n'):
            (tmp_path / 'form.csv').write_bytes((head + text).encode(encoding))
            assert csv_rows(tmp_path / 'form.csv') == want
