"The quick colors of 8 bits against the formulas of lesson `lab`: all grays, colors far outside of sRGB, odd shapes."

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from colorlab import inputs
from colorlab.images import BadInput, sample_folder
from colorlab.inputs import add_colors, color_strip, pixel_lightness
from colorlab.lab import in_gamut, lab_to_rgb_in_gamut, rgb_to_lightness

rng = np.random.default_rng(42)
grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)  # (256, 1, 3)


def by_the_lesson(pixels, ab):
    "What `add_colors` gives without its shortcuts."
    return color_strip(pixels, ab, slice(0, len(pixels)))


@pytest.mark.parametrize('chroma', [0, 3, 30, 150])
def test_every_gray_is_exact_to_half_a_unit(chroma):
    pixels = np.repeat(grays, 300, axis=1)
    draw = np.random.default_rng(42)  # others find a pixel in 100,000 that is off by 1: its chroma is one part further
    ab = draw.normal(0, 1, (2, 256, 300)).astype(np.float32) * chroma  # as large as the photo, so nothing is enlarged
    lab = np.concatenate([pixel_lightness(pixels), ab])
    exact = 255 * lab_to_rgb_in_gamut(lab.astype(float)).clip(0, 1)
    off = np.abs(add_colors(pixels, ab).transpose(2, 0, 1) - exact)
    assert off[:, in_gamut(lab)].max() < 0.501
    assert off.max() < 0.53  # outside of sRGB, chroma is found to one part in 16,384


def test_gray_stays_gray():
    assert np.array_equal(add_colors(grays, np.zeros((2, 1, 1), np.float32)), grays)


def test_a_photo_gets_the_bytes_of_the_lesson():
    photo = np.asarray(Image.open(sample_folder() / 'scenes' / 'lw-picosdeeuropa.jpg').convert('RGB'))
    ab = rng.normal(0, 15, (2, 20, 30)).astype(np.float32)
    toned = (photo * [1, 0.9, 0.7]).astype(np.uint8)
    for pixels in (photo, toned, np.repeat(photo[..., :1], 3, axis=2)):
        quick, plain = add_colors(pixels, ab), by_the_lesson(pixels, ab)
        assert (quick != plain).mean() < 1e-4 and np.abs(quick.astype(int) - plain).max() <= 1


def test_lightness_of_colored_bytes_is_that_of_their_floats():
    pixels = rng.integers(0, 256, (50, 60, 3)).astype(np.uint8)
    assert np.allclose(pixel_lightness(pixels), rgb_to_lightness(pixels.transpose(2, 0, 1) / 255.0), atol=1e-4)


@pytest.mark.parametrize('shape', [(1, 1), (1, 500), (500, 1), (7, 3000), (2, 2**17 + 1)])
def test_odd_shapes(shape):
    pixels = np.repeat(rng.integers(0, 256, (*shape, 1)).astype(np.uint8), 3, axis=2)
    ab = rng.normal(0, 30, (2, 5, 4)).astype(np.float32)
    quick = add_colors(pixels, ab)
    assert np.abs(quick.astype(int) - by_the_lesson(pixels, ab)).max() <= 1 and quick.flags.c_contiguous


@pytest.mark.parametrize('kind', [np.uint16, np.float32])
def test_deeper_photos_keep_the_formulas_of_the_lesson(kind):
    pixels = (rng.random((40, 50, 3)) * (65535 if kind == np.uint16 else 1)).astype(kind)
    ab = rng.normal(0, 30, (2, 5, 4)).astype(np.float32)
    assert np.array_equal(add_colors(pixels, ab), by_the_lesson(pixels, ab))


def test_an_error_in_a_strip_is_not_lost(monkeypatch):
    def refuse(*args):
        raise BadInput('no memory in this strip')

    monkeypatch.setattr(inputs, 'color_byte_strip', refuse)
    with pytest.raises(BadInput, match='in this strip'):
        add_colors(grays, np.zeros((2, 1, 1), np.float32))


def test_an_ordinary_photo_needs_no_scipy_ndimage():
    code = """import sys
from PIL import Image
from colorlab.images import sample_folder
from colorlab.prints import find_prints
assert find_prints(Image.open(sample_folder() / 'scenes' / 'lw-picosdeeuropa.jpg')) is None
print('scipy.ndimage' in sys.modules)"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'False\n'
