"PSNR and its peak: a right picture passes, and a wrong one is told what is really wrong with it."

import pytest
import torch

from colorlab.images import BadInput
from colorlab.metrics import psnr

photo = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(42))


@pytest.mark.parametrize(
    'pred, targ, peak, words',
    [
        (photo * 0.9, photo, 255.0, r'\+ 48\.13; give peak=1$'),
        (photo * 229, photo * 255, 1.0, r'− 48\.13; give peak=255$'),
        (photo * 65535, photo * 65535, 255.0, 'give peak=65535$'),
        (photo * 1.3, photo, 1.0, r'does not fit peak=1: .*clip\(0, 1\)$'),
        (photo * 1.01, photo, 1.0, r'clip\(0, 1\)$'),
        (photo - 0.1, photo, 1.0, r'clip\(0, 1\)$'),
        (photo * 2 - 1, photo * 2 - 1, 1.0, r'from -\S+ to \S+, .*bring them to 0\.\.1'),
        (photo * 255 - 5, photo * 255, 255.0, r'clip\(0, 255\)$'),
        (photo * 300, photo * 255, 255.0, r'clip\(0, 255\)$'),
        (photo * 1e6, photo, 1.0, r'clip\(0, 1\)$'),
        (photo, photo, 0.0, 'peak is 0'),
        (photo / 0, photo, 1.0, 'not a number'),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_the_right_advice(pred, targ, peak, words):
    with pytest.raises(BadInput, match=words) as e:
        psnr(pred, targ, peak)
    assert '\n' not in str(e.value)


@pytest.mark.parametrize('peak', [1.0, 2.0, 255.0])
def test_black_and_rounded_pictures_fit(peak):
    truth = photo * peak
    black = psnr(truth * 0, truth, peak)
    assert torch.isfinite(black).all()
    assert torch.allclose(black, psnr(photo * 0, photo, 1.0), atol=1e-4)
    assert psnr(truth * 1.0005, truth, peak).min() > 60
    assert psnr(truth, truth, peak).isinf().all()
