"Corner cases of the color conversions; what they promise otherwise is checked in their lesson."

import numpy as np
import pytest
import torch

from colorlab import arrays
from colorlab.images import BadInput
from colorlab.lab import in_gamut, into_gamut, lab_f, lab_to_rgb, lab_to_rgb_in_gamut, rgb_to_lab

rng = np.random.default_rng(0)
photo = torch.tensor(rng.random((3, 8, 12)), dtype=torch.float32)


@pytest.mark.parametrize('fast', (True, False))
def test_both_cube_roots_are_right_on_any_processor(monkeypatch, fast):
    monkeypatch.setattr(arrays, 'has_fast_cbrt', lambda: fast)
    t = np.linspace(0, 1.2, 1001)
    plain = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    assert np.allclose(lab_f(t), plain, atol=1e-5)
    assert np.allclose(lab_f(t.astype(np.float32)), plain, atol=1e-5)


def test_bytes_and_batches():
    assert torch.allclose(rgb_to_lab((photo * 255).round().byte()), rgb_to_lab((photo * 255).round() / 255), atol=1e-4)
    batch = torch.stack([photo, photo.flip(-1)])[None]
    assert rgb_to_lab(batch).shape == batch.shape
    assert torch.allclose(rgb_to_lab(batch)[0, 1], rgb_to_lab(photo.flip(-1)), atol=1e-4)


def test_gradients_are_those_of_the_formula():
    colors = torch.rand(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rgb_to_lab, colors)


@pytest.mark.parametrize('bad', (torch.zeros(2, 4, 4), torch.zeros(3, 3), torch.zeros(3, 4, 4).int()))
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(BadInput):
        rgb_to_lab(bad)


def test_lab_of_another_scale_is_refused():
    with pytest.raises(BadInput, match='Lab of type'):
        lab_to_rgb(torch.zeros(3, 4, 4).byte())  # OpenCV's 8-bit Lab, say


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_a_gpu_gives_the_same():
    with torch.autocast('cuda', torch.float16):
        assert torch.allclose(rgb_to_lab(photo.cuda()).cpu(), rgb_to_lab(photo), atol=1e-4)


def test_the_quick_way_into_the_gamut_gives_the_same():
    noise = np.stack([rng.uniform(0, 100, (65, 67)), *rng.normal(0, 60, (2, 65, 67))])
    for x in (noise.astype(np.float32), noise, noise.astype(np.float16), np.stack([noise, noise[:, ::-1]])):
        assert np.array_equal(lab_to_rgb_in_gamut(x), lab_to_rgb(into_gamut(x)))
        quick, plain = lab_to_rgb_in_gamut(torch.tensor(x)), lab_to_rgb(into_gamut(torch.tensor(x)))
        assert torch.allclose(quick, plain, rtol=0, atol=1e-6)
        assert torch.equal((quick.clip(0, 1) * 255).round(), (plain.clip(0, 1) * 255).round())
    leaf = torch.tensor(noise, requires_grad=True)
    lab_to_rgb_in_gamut(leaf).sum().backward()
    assert leaf.grad.isfinite().all()


def test_wild_colors_come_into_the_gamut_alone_and_in_a_batch():
    wild = torch.tensor(rng.normal(0, 80, (2, 3, 16, 16)) + np.array([50.0, 0, 0])[:, None, None])
    assert in_gamut(into_gamut(wild)).all()
    assert torch.allclose(into_gamut(wild)[1], into_gamut(wild[1]), atol=1e-5)
