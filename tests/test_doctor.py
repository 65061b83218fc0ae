"""The doctor as a command: strict, listing, page, and a kill in the middle."""

import shutil
import signal
import sqlite3

import numpy as np
import pandas as pd
import pytest
from conftest import Running, colorlab, sample
from PIL import Image
from test_cli import one_line

from colorlab.doctor import PhotoRecords, diagnose, findings, findings_text, fixed_listing, write_doctor_page
from colorlab.images import BadInput


def test_what_it_finds_training_can_follow(photos, tmp_path):
    files = sorted(photos.rglob('*.jpg'))
    assert colorlab('doctor', photos, '--strict').returncode == 0
    Image.open(files[0]).convert('L').save(photos / 'gray.jpg')
    Image.open(files[1]).resize((200, 200)).save(photos / 'smaller.jpg', quality=70)
    (photos / 'torn.jpg').write_bytes(files[2].read_bytes()[:3000])
    options = ['--out', tmp_path / 'page.html', '--listing', tmp_path / 'list.csv']
    done = colorlab('doctor', photos, '--strict', *options, check=False)
    assert done.returncode == 1 and not done.stderr
    for words in ('1 cannot be read: torn.jpg', '4 nearly the same', 'without color'):
        assert words in done.stdout, done.stdout
    assert 'smaller.jpg' in (tmp_path / 'page.html').read_text(encoding='utf-8')
    listing = pd.read_csv(tmp_path / 'list.csv').set_index('file')
    assert len(listing) == 25 and listing.group['smaller.jpg'] == listing.group[files[1].relative_to(photos).as_posix()]
    train = ['train', '--data', photos, '--arch', 'cnn', '--size', 32, '--bs', 4, '--epochs', 1]
    colorlab(*train, '--listing', tmp_path / 'list.csv', '--out', tmp_path / 'run')
    used = pd.read_csv(tmp_path / 'run' / 'manifest.csv')
    assert set(used.file) == set(listing.index) and used.groupby('group').split.nunique().max() == 1
    bad = colorlab(*train, '--listing', tmp_path / 'page.html', '--out', tmp_path / 'other', check=False)
    one_line(bad, 'page.html')
    assert not (tmp_path / 'other').exists()


def test_a_name_with_brackets_has_its_picture(photos, tmp_path):
    Image.open(next(photos.rglob('*.jpg'))).convert('L').save(photos / 'IMG (1).jpg')
    found = diagnose(photos)
    with_it = write_doctor_page(found, tmp_path / 'page.html').read_text(encoding='utf-8').count('data:image')
    (photos / 'IMG (1).jpg').rename(photos / 'IMG.jpg')
    assert (
        write_doctor_page(diagnose(photos), tmp_path / 'page.html').read_text(encoding='utf-8').count('data:image')
        == with_it
    )


def test_a_file_and_what_is_wrong_with_it_are_kept_apart(photos):
    (photos / 'broken: (a).jpg').write_bytes(b'torn')
    broken = next(f for f in findings(diagnose(photos)) if f.kind == 'broken')
    assert broken.files == ['broken: (a).jpg'] and broken.reasons.keys() == {'broken: (a).jpg'}
    assert not broken.reasons['broken: (a).jpg'].startswith('broken')
    assert '1 cannot be read: broken: (a).jpg (not a picture in a format that colorlab knows)' in findings_text(
        diagnose(photos)
    )


def test_records_of_an_earlier_version_are_not_misread(photos):
    found = diagnose(photos)
    path = PhotoRecords(photos).path
    with sqlite3.connect(path) as db:
        columns = [row[1] for row in db.execute('pragma table_info(photos)')]
    assert {'thumb', 'signature', 'hues'} <= set(columns) and 'outline' not in columns
    path.write_bytes(b'no database')
    assert diagnose(photos).table.equals(found.table)


def test_killed_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv('COLORLAB_CACHE', str(tmp_path / 'cache'))
    sources = sorted(sample.rglob('*.jpg'))
    (tmp_path / 'many').mkdir()
    for i in range(1000):
        shutil.copy(sources[i % len(sources)], tmp_path / 'many' / f'{i:04}.jpg')
    running = Running('doctor', tmp_path / 'many')

    def seen():
        found = list(tmp_path.glob('cache/doctor/*.sqlite'))
        if not found:
            return 0
        try:
            return sqlite3.connect(found[0]).execute('select count(*) from photos').fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # not there yet, or being written

    running.wait_for(seen)
    running.end(signal.SIGKILL)
    assert 0 < seen() < 1000
    assert '1000 photos' in colorlab('doctor', tmp_path / 'many').stdout and seen() == 1000


@pytest.mark.filterwarnings('error')
def test_a_gray_folder_has_no_hues(tmp_path):
    for i in range(3):
        level = np.random.default_rng(i).integers(0, 256, (24, 32), np.uint8)
        Image.fromarray(level).save(tmp_path / f'{i}.png')
    found = diagnose(tmp_path)
    text = findings_text(found)
    assert '3 without color' in text and 'None of them has color' in text and '%' not in text
    page = write_doctor_page(found, tmp_path / 'doctor.html').read_text(encoding='utf-8')
    assert 'nan' not in page and 'class="bar"' not in page
    with pytest.raises(BadInput, match='can be read and has color'):
        fixed_listing(found)
