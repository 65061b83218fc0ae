"""Enlarging and coloring by the real command: sizes, depths, alpha, metadata, seams, refusals."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import colorlab, sample
from imagecodecs import png_encode
from PIL import Image
from test_cli import one_line

from colorlab.backends import find_model
from colorlab.colorize import load_upscaler
from colorlab.images import BadInput
from colorlab.lab import lightness_error, rgb_to_lab
from colorlab.metadata import read_provenance
from colorlab.photo import read_photo
from colorlab.recipes import network_settings
from colorlab.runs import Run
from colorlab.training import plan_run


@pytest.fixture
def gray():
    return Image.open(sample / 'scenes' / 'lw-bridge.jpg').convert('L').resize((91, 67))


def test_every_kind_of_file_is_enlarged_in_its_own_kind(gray, tmp_path):
    box, clear = tmp_path / 'box', Image.linear_gradient('L').resize(gray.size)
    box.mkdir()
    exif = gray.getexif()
    exif[0x010E] = 'Oma, 1931'
    exif.get_ifd(0x8769).update({0xA002: gray.width, 0xA003: gray.height})
    gray.save(box / 'g.jpg', exif=exif)
    with_alpha = gray.copy()
    with_alpha.putalpha(clear)
    with_alpha.save(box / 'la.png')
    deep = np.asarray(gray).astype(np.uint16) * 257 + 100
    deep_alpha = np.dstack([deep] * 3 + [np.asarray(clear).astype(np.uint16) * 257])
    for name, pic in {'16.png': deep, 'alpha16.png': deep_alpha}.items():
        (box / name).write_bytes(png_encode(pic))
    tifffile.imwrite(box / 'f.tif', (deep / 65535).astype(np.float32))
    colorlab('colorize', box, '--upscale', 2, '--out', tmp_path / 'out')
    for file in box.iterdir():
        before, after = read_photo(file), read_photo(tmp_path / 'out' / file.name)
        assert (before.format, before.pixels.dtype) == (after.format, after.pixels.dtype)
        assert after.pixels.shape == (134, 182, 3) and np.ptp(after.pixels, axis=2).max() > 0
        assert (before.alpha is None) == (after.alpha is None)
        if before.alpha is not None:
            assert after.alpha.shape == (134, 182) and after.alpha.dtype == before.alpha.dtype
            blocks = after.alpha.reshape(67, 2, 91, 2).mean((1, 3))
            assert np.abs(blocks - before.alpha)[2:-2].max() < np.iinfo(before.alpha.dtype).max / 100
        scale = {'uint8': 255, 'uint16': 65535, 'float32': 1}[str(before.pixels.dtype)]
        larger = load_upscaler(2).upscale_pixels(before.pixels)  # colors are painted on this, and its lightness stays
        L = rgb_to_lab(larger.transpose(2, 0, 1) / np.float32(scale))[:1]
        assert lightness_error(after.pixels.transpose(2, 0, 1) / np.float32(scale), L)[0] < (
            1.5 if before.format == 'JPEG' else 0.25
        )
        mark = read_provenance(tmp_path / 'out' / file.name)
        assert (mark['model'], mark['enlarged_by'], mark['enlarged_times']) == ('lite', 'sr2', '2') and len(
            mark['enlarged_sha256']
        ) == 64
    back = Image.open(tmp_path / 'out' / 'g.jpg').getexif()
    assert back[0x010E] == 'Oma, 1931' and [back.get_ifd(0x8769)[t] for t in (0xA002, 0xA003)] == [182, 134]
    assert 'enlarged 2 times by the model sr2' in colorlab('inspect', tmp_path / 'out' / 'g.jpg').stdout


@pytest.mark.parametrize('times', [2, 4])
def test_tiles_leave_no_seam_and_tiny_photos_are_photos(times, gray):
    upscaler, rgb = load_upscaler(times), gray.convert('RGB')
    pixels = np.asarray(rgb).astype(np.float32) / 255
    whole = upscaler.upscale_pixels(pixels, side=1000)
    assert whole.shape == (67 * times, 91 * times, 3) and np.ptp(whole, axis=2).max() < 1e-3
    for side in (13, 32):
        assert np.abs(upscaler.upscale_pixels(pixels, side=side) - whole).max() < 1e-5
    for size in ((1, 1), (1, 300), (3, 2)):
        assert upscaler.upscale_pixels(np.asarray(rgb.resize(size))).shape == (size[1] * times, size[0] * times, 3)
    for level in (0, 128, 255):  # what is even stays even, black and white too
        assert np.abs(upscaler.upscale_pixels(np.full((20, 30, 3), level, np.uint8)).astype(int) - level).max() <= 3


@pytest.mark.parametrize(
    'name, words',
    {
        '3': '2 or 4',
        '0': '2 or 4',
        '-2': '2 or 4',
        '22': '2 or 4',
        'large': 'large: there is no such model.* sr2',
        'lite': 'lite: enlarges nothing',
    }.items(),
)
def test_what_enlarges_nothing_is_refused(name, words):
    with pytest.raises(BadInput, match=words):
        load_upscaler(name)


def test_refusals_are_one_line(gray, tmp_path):
    gray.save(tmp_path / 'g.png')

    def fails(*options):
        return colorlab('colorize', tmp_path / 'g.png', '--out', tmp_path / 'out', *options, check=False)

    one_line(fails('--upscale', '3'), '2 or 4')
    one_line(fails('--upscale', find_model('lite').with_suffix('.onnx')), 'lite.onnx: enlarges nothing', '.safetensors')
    one_line(fails('--model', 'sr2'), 'sr2', 'colors nothing', '--upscale')
    assert not (tmp_path / 'out').exists()
    done = fails('--upscale', 4, '--max-pixels', 90_000)  # 91*67*16 are 97,552
    assert (
        done.returncode == 1
        and 'g.png: would hold' in done.stderr
        and '--max-pixels' in done.stderr
        and not list((tmp_path / 'out').iterdir())
    )


def test_one_may_train_ones_own(photos, gray, tmp_path):
    colorlab(
        'train',
        '--data',
        photos,
        '--epochs',
        1,
        '--bs',
        4,
        '--size',
        32,
        '--arch',
        'superres',
        '--space',
        'sr4',
        '--disc',
        'patch',
        '--l1-weight',
        10,
        '--out',
        tmp_path / 'run',
    )
    settings = json.loads((tmp_path / 'run' / 'settings.json').read_text())
    assert settings['args']['times'] == 4 and settings['callbacks'][0][1]['args']['ni'] == 2
    assert list(pd.read_csv(tmp_path / 'run' / 'baselines.csv', index_col=0).index) == ['bicubic', 'truth']
    assert (
        Image.open(tmp_path / 'run' / 'samples' / 'epoch-0001.jpg').size[0] > 100
        and (tmp_path / 'run' / 'curves.png').exists()
    )
    gray.save(tmp_path / 'g.png')
    colorlab('colorize', tmp_path / 'g.png', '--out', tmp_path / 'out', '--upscale', tmp_path / 'run')
    assert (
        Image.open(tmp_path / 'out' / 'g.png').size == (364, 268)
        and read_provenance(tmp_path / 'out' / 'g.png')['enlarged_by'] == 'run'
    )
    with pytest.raises(BadInput, match='enlarges nothing'):
        load_upscaler(tmp_path / 'run' / 'disc.safetensors')


@pytest.mark.parametrize(
    'arch, space, words',
    [
        ('superres', 'lab', 'sr2 or sr4'),
        ('superres', 'rgb3', 'sr2 or sr4'),
        ('cnn', 'sr2', 'CNN'),
        ('colorlab.superres:SuperRes', 'sr4', None),
    ],
)
def test_network_and_space_must_fit(arch, space, words, tmp_path):
    def plan(wanted):
        return plan_run(Run(tmp_path / 'no'), dict(data='sample', size=32) | wanted)

    if words:
        with pytest.raises(BadInput, match=words):
            plan(network_settings(arch, space))
    else:
        with pytest.raises(BadInput, match='1, 16, 16.* and not .*1, 32, 32'):
            plan(dict(arch=arch, space=space, args=dict(times=2)))
    assert not (tmp_path / 'no').exists()
