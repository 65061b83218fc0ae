"""`colorlab colorize` and `read_photo` on real files; the rows of the table are checked in lesson `photo`."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import colorlab, root
from PIL import Image

from colorlab.colorize import color_files
from colorlab.colorizer import Colorizer
from colorlab.images import BadInput, atomic_write, sample_folder
from colorlab.lab import lightness_error, rgb_to_lab
from colorlab.metadata import read_provenance
from colorlab.photo import Photo, read_photo, write_errors, write_photo


@pytest.mark.parametrize('path', ['torch', 'onnx'])
def test_every_kind_of_file_comes_back_as_it_went_in(path, light, tmp_path):
    gray = Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg').convert('L').resize((120, 90))
    box, clear = tmp_path / 'box', Image.linear_gradient('L').resize(gray.size)
    box.mkdir()
    with_alpha = gray.copy()
    with_alpha.putalpha(clear)
    kinds = {
        'g.jpg': gray,
        '1.png': gray.convert('1'),
        'p.png': gray.convert('P'),
        'c.jpg': gray.convert('CMYK'),
        'la.png': with_alpha,
        'rgba.tif': with_alpha.convert('RGBA'),
        'a.bmp': gray,
        'a.webp': gray,
        'h.heic': gray,
    }
    for name, pic in kinds.items():
        if name.endswith('heic'):
            pytest.importorskip('pillow_heif').register_heif_opener()
        pic.save(box / name)
    deep = np.asarray(gray).astype(np.uint16) * 257 + 100
    for name, pic in {'16.png': deep, '16.tif': deep, 'f.tif': (deep / 65535).astype(np.float32)}.items():
        cv2.imwrite(str(box / name), pic)
    colorlab('colorize', box, '--out', tmp_path / 'out', '--model', dict(torch='lite', onnx=light)[path])
    for file in sorted(box.iterdir()):
        before, after = read_photo(file), read_photo(tmp_path / 'out' / file.name)
        assert before.format == after.format
        assert (before.pixels.dtype, before.pixels.shape) == (after.pixels.dtype, after.pixels.shape)
        if before.alpha is not None:
            assert (before.alpha == after.alpha).all()
        scale = {'uint8': 255, 'uint16': 65535, 'float32': 1}[str(before.pixels.dtype)]
        L = rgb_to_lab(before.pixels.transpose(2, 0, 1) / np.float32(scale))[:1]
        delta_L = lightness_error(after.pixels.transpose(2, 0, 1) / np.float32(scale), L)[0]
        assert delta_L < (1.5 if before.format in ('JPEG', 'HEIF') else 0.25), (file.name, delta_L)
        assert read_provenance(tmp_path / 'out' / file.name)['model'] == 'lite', file.name


def test_inspect_and_stamp(photos, tmp_path):
    photo = next(photos.rglob('*.jpg'))
    assert json.loads(colorlab('inspect', photo, '--json').stdout)['colorized'] is False
    colorlab('colorize', photo, '--out', tmp_path / 'plain', '--vividness', '1.2')
    colorlab('colorize', photo, '--out', tmp_path / 'stamped', '--stamp', '--sidecar', '--vividness', '1.2')
    said = json.loads(colorlab('inspect', tmp_path / 'plain' / photo.name, '--json').stdout)
    assert said['colorized'] and len(said['sha256']) == 64
    assert said['digital_source_type'].endswith('compositeWithTrainedAlgorithmicMedia')
    assert 'colorized by the model lite' in colorlab('inspect', tmp_path / 'plain' / photo.name).stdout
    assert 'vividness 1.2' in colorlab('inspect', tmp_path / 'stamped' / photo.name).stdout
    assert [f.name for f in tmp_path.rglob('*.xmp')] == [f'{photo.name}.xmp']
    assert 'compositeWithTrainedAlgorithmicMedia' in (tmp_path / 'stamped' / f'{photo.name}.xmp').read_text()
    a, b = (np.asarray(Image.open(tmp_path / f / photo.name)).astype(int) for f in ('plain', 'stamped'))
    changed = np.argwhere(np.abs(a - b).max(2) > 20)
    assert len(changed) and changed.min(0)[0] > a.shape[0] * 0.8  # only in the lower corner


def test_bombs_are_refused(photos, tmp_path):
    Image.new('1', (15000, 15000)).save(photos / 'bomb.png')
    done = colorlab('colorize', photos / 'bomb.png', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and '225 megapixels' in done.stderr and '--max-pixels' in done.stderr


def process_state():
    "What belongs to the whole process, and no library may change."
    stderr = os.fstat(2)
    where = stderr.st_dev, stderr.st_ino
    return Image.MAX_IMAGE_PIXELS, where, list(warnings.filters), dict(os.environ), cv2.utils.logging.getLogLevel()


def answer(file):
    "What `read_photo` says about a file, as something that can be compared."
    try:
        photo = read_photo(file, max_pixels=1_000_000)
        return photo.format, photo.pixels.tobytes(), sorted(photo.meta.items())
    except BadInput as e:
        return str(e)


def test_threads_read_the_same_and_change_nothing_in_the_process(photos):
    gray = Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg').convert('L')
    Image.new('1', (2000, 2000)).save(photos / 'large.png')
    (photos / 'torn.jpg').write_bytes(next(photos.rglob('*.jpg')).read_bytes()[:3000])
    gray.save(photos / 'lzw.tif', compression='tiff_lzw')
    (photos / 'torn.tif').write_bytes((photos / 'lzw.tif').read_bytes()[:9000])
    cv2.imwrite(str(photos / 'deep.png'), np.asarray(gray).astype(np.uint16) * 257)
    (photos / 'torn16.png').write_bytes((photos / 'deep.png').read_bytes()[:9000])
    cv2.imwrite(str(photos / 'deep.tif'), np.asarray(gray).astype(np.float32) / 255)
    (photos / 'letter.jpg').write_text('Dear photo')
    files = sorted(f for f in photos.rglob('*.*') if f.is_file()) * 4
    before, alone = process_state(), [answer(f) for f in files]
    assert sum(isinstance(a, str) for a in alone) == 4 * 5
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(answer, files))
    assert together == alone
    assert process_state() == before


def test_the_limit_is_our_own(tmp_path, monkeypatch):
    "Pillow has one for the whole process, at which it warns, and one twice as large, at which it fails."
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    photo = Photo(np.zeros((90, 120, 3), np.uint8), '')
    for name, format in (('a.png', 'PNG'), ('a.jpg', 'JPEG'), ('a.bmp', 'BMP')):
        photo.format = format
        write_photo(photo, tmp_path / name, dict(model='demo'))
        with warnings.catch_warnings(action='error'):
            assert read_photo(tmp_path / name).pixels.shape == (90, 120, 3)
            assert read_provenance(tmp_path / name)['model'] == 'demo'
    for name, format in (('a.tif', 'TIFF'), ('a.webp', 'WEBP')):  # whose plugins ask the limit themselves
        photo.format = format
        write_photo(photo, tmp_path / name)
        with pytest.raises(BadInput, match=f'{name}: holds more pixels than Pillow allows: set PIL.Image.MAX_IMAGE'):
            read_photo(tmp_path / name)
    assert Image.MAX_IMAGE_PIXELS == 1000


def jpeg_with_exif(file, exif):
    "A small JPEG with these bytes as EXIF, in as many segments as they need."
    Image.linear_gradient('L').resize((64, 48)).save(file)
    data, segments = file.read_bytes(), b''
    for first in range(0, len(exif), 65000):
        part = b'Exif\0\0' + exif[first : first + 65000]
        segments += b'\xff\xe1' + (len(part) + 2).to_bytes(2, 'big') + part
    file.write_bytes(data[:2] + segments + data[2:])


def odd_photos(box):
    "Good photos whose metadata or names are larger or stranger than a file can hold."
    gray = Image.linear_gradient('L').resize((64, 48))
    gray.save(box / 'xmp.jpg', xmp=b'<x>' + b'edited, ' * 8180 + b'</x>')
    notes = Image.Exif()
    notes[0x010F] = 'Kodak'
    notes.get_ifd(0x8769)[0x927C] = bytes(range(256)) * 350
    jpeg_with_exif(box / 'notes.jpg', notes.tobytes().removeprefix(b'Exif\0\0'))
    tag = b'\x12\x01\x02\0\x02\0\0\0' + b'6\0\0\0'  # an orientation in ASCII
    jpeg_with_exif(box / 'ascii.jpg', b'II*\0\x08\0\0\0\x01\0' + tag + bytes(4))
    gray.save(box / 'dpi.tif', dpi=(300, 300))
    data = (box / 'dpi.tif').read_bytes()
    resolution = (300).to_bytes(4, 'little') + (1).to_bytes(4, 'little')
    assert data.count(resolution) == 2
    (box / 'dpi.tif').write_bytes(data.replace(resolution, bytes(8)))  # zero by zero
    gray.save(box / ('x' * 245 + '.jpg'))  # 249 bytes; a file system allows 255
    gray.save(box / 'z.jpg')


def test_odd_metadata_and_long_names_cost_no_photo(tmp_path):
    box = tmp_path / 'box'
    box.mkdir()
    odd_photos(box)
    done = colorlab('colorize', box, '--out', tmp_path / 'out')
    assert '6 photos colored' in done.stdout and done.stderr == ''
    for file in box.iterdir():
        fields = json.loads(colorlab('inspect', tmp_path / 'out' / file.name, '--json').stdout)
        assert fields['model'] == 'lite', file.name
    lines = [line.split('/')[-1] for line in done.stdout.splitlines()[:-1]]
    assert sorted(line.split(' did not fit')[0] for line in lines) == [
        'dpi.tif: dpi',
        'notes.jpg: exif',
        'xmp.jpg: xmp',
    ]
    exif = Image.open(tmp_path / 'out' / 'notes.jpg').getexif()
    assert exif[0x010F] == 'Kodak' and 0x927C not in exif.get_ifd(0x8769)


def test_what_cannot_be_written_is_one_line_and_the_rest_is_done(tmp_path):
    box = tmp_path / 'box'
    box.mkdir()
    odd_photos(box)
    done = colorlab('colorize', box, '--out', tmp_path / 'out', '--uncertainty', '--force', check=False)
    assert done.returncode == 1 and '5 photos colored' in done.stdout
    assert done.stderr.count('\n') == 1 and 'cannot be written (File name too long)' in done.stderr
    assert not list((tmp_path / 'out').glob('.*'))


def test_a_full_disk_ends_the_work(photos, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'out/a.jpg')

    for error in (ValueError('EXIF data is\ntoo long'), MemoryError(), OSError('encoder error -2')):
        with pytest.raises(BadInput, match='^a.jpg: cannot be written .*[^\\n]*$'), write_errors('a.jpg'):
            raise error
    monkeypatch.setattr('colorlab.photo.atomic_write', full)
    with pytest.raises(OSError, match='No space left'):
        color_files(Colorizer.from_pretrained('lite'), [photos], tmp_path / 'out', progress=False)


def test_temporary_names_are_short(tmp_path):
    with atomic_write(tmp_path / ('x' * 255)) as part:
        assert part.parent == tmp_path and part.match('.*.part') and len(part.name) < 32
        part.write_text('whole')
    assert [f.name for f in tmp_path.iterdir()] == ['x' * 255]


def test_two_photos_with_one_name_are_an_error_before_the_first_write(photos, tmp_path):
    first = next(photos.rglob('*.jpg'))
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / first.name).write_bytes(first.read_bytes())
    done = colorlab('colorize', first, tmp_path / 'other', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and 'would both become' in done.stderr and not (tmp_path / 'out').exists()


def test_killed_and_begun_again_does_every_photo_once(photos, tmp_path):
    command = [Path(sys.executable).with_name('colorlab'), 'colorize', photos, '--out', tmp_path / 'out']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / 'out').rglob('*.jpg')):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.Random(1).uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').rglob('*.jpg') if not p.name.startswith('.')}
    for p in done:
        Image.open(p).load()  # whole, every one of them
    colorlab(*command[1:])
    assert all(p.stat().st_mtime_ns == t for p, t in done.items())
    assert len([p for p in (tmp_path / 'out').rglob('*.jpg') if not p.name.startswith('.')]) == 24


def test_thousands_of_mutated_files_give_no_traceback():
    done = subprocess.run([sys.executable, root / 'tests' / 'fuzz.py', '4000'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
