"""The contract of `colorize_command` on real files and a real process; the rows themselves are checked in lesson `photo`."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import colorlab, root
from PIL import Image

from colorlab.images import sample_folder
from colorlab.lab import lightness_error, rgb_to_lab
from colorlab.metadata import read_provenance
from colorlab.photo import read_photo


@pytest.mark.parametrize('path', ['torch', 'onnx'])
def test_every_kind_of_file_comes_back_as_it_went_in(path, light, tmp_path):
    gray = Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg').convert('L').resize((120, 90))
    box, clear = tmp_path / 'box', Image.linear_gradient('L').resize(gray.size)
    box.mkdir()
    with_alpha = gray.copy()
    with_alpha.putalpha(clear)
    for name, pic in {
        'g.jpg': gray,
        '1.png': gray.convert('1'),
        'p.png': gray.convert('P'),
        'c.jpg': gray.convert('CMYK'),
        'la.png': with_alpha,
        'rgba.tif': with_alpha.convert('RGBA'),
        'a.bmp': gray,
        'a.webp': gray,
        'h.heic': gray,
    }.items():
        if name.endswith('heic'):
            pytest.importorskip('pillow_heif').register_heif_opener()
        pic.save(box / name)
    deep = np.asarray(gray).astype(np.uint16) * 257 + 100
    for name, pic in {'16.png': deep, '16.tif': deep, 'f.tif': (deep / 65535).astype(np.float32)}.items():
        cv2.imwrite(str(box / name), pic)
    colorlab('colorize', box, '--out', tmp_path / 'out', '--model', dict(torch='lite', onnx=light)[path])
    for file in sorted(box.iterdir()):
        before, after = read_photo(file), read_photo(tmp_path / 'out' / file.name)
        assert (
            before.format == after.format
            and before.pixels.dtype == after.pixels.dtype
            and before.pixels.shape == after.pixels.shape
        )
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
    assert (
        said['colorized']
        and said['digital_source_type'].endswith('compositeWithTrainedAlgorithmicMedia')
        and len(said['sha256']) == 64
    )
    assert 'colorized by the model lite' in colorlab('inspect', tmp_path / 'plain' / photo.name).stdout
    assert 'vividness 1.2' in colorlab('inspect', tmp_path / 'stamped' / photo.name).stdout
    assert [f.name for f in tmp_path.rglob('*.xmp')] == [
        f'{photo.name}.xmp'
    ] and 'compositeWithTrainedAlgorithmicMedia' in (tmp_path / 'stamped' / f'{photo.name}.xmp').read_text()
    a, b = (np.asarray(Image.open(tmp_path / f / photo.name)).astype(int) for f in ('plain', 'stamped'))
    changed = np.argwhere(np.abs(a - b).max(2) > 20)
    assert len(changed) and changed.min(0)[0] > a.shape[0] * 0.8  # only in the lower corner


def test_bombs_are_refused(photos, tmp_path):
    Image.new('1', (15000, 15000)).save(photos / 'bomb.png')
    done = colorlab('colorize', photos / 'bomb.png', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and '225 megapixels' in done.stderr and '--max-pixels' in done.stderr


def test_two_photos_with_one_name_are_an_error_before_the_first_write(photos, tmp_path):
    first = next(photos.rglob('*.jpg'))
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / first.name).write_bytes(first.read_bytes())
    done = colorlab('colorize', first, tmp_path / 'other', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and 'would both become' in done.stderr and not (tmp_path / 'out').exists()


def test_killed_and_begun_again_does_every_photo_once(photos, tmp_path):
    command, rng = (
        [Path(sys.executable).with_name('colorlab'), 'colorize', photos, '--out', tmp_path / 'out'],
        random.Random(1),
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / 'out').rglob('*.jpg')):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
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
