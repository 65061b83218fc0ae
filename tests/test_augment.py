"""The callbacks that change what a network sees, and those of Lite, in a plain fastai Learner over our loaders."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import sample
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.schedule import Learner  # with fit_one_cycle
from fastai.callback.training import ShortEpochCallback

from colorlab.augment import (
    AGING_MIXES,
    AGING_STEPS,
    Aging,
    Framed,
    RandomSize,
    SimulatedHints,
    add_grain,
    blur,
    fade,
    jpeg_artifacts,
    orthochromatic,
)
from colorlab.backends import find_model
from colorlab.callbacks import AMP
from colorlab.images import BadInput
from colorlab.lite import Distillation, Lite, PerceptualLoss, Rebalance, learner_precision
from colorlab.loaders import photo_loaders
from colorlab.recipes import DEFAULT_CALLBACKS
from colorlab.training import make_callbacks
from colorlab.unet import lite0_encoder


class Shapes(Callback):
    "Writes down what reaches the network, and the loss that is followed."

    order = 50

    def before_fit(self):
        self.seen = []

    def after_loss(self):
        if self.training:
            self.seen.append((tuple(self.xb[0].shape), self.loss_grad.item()))


def stock_learner(*cbs):
    "fastai's own `Learner`, with nothing of ours but loaders, network and callbacks."
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model = Lite()
    lite0_encoder(model)
    return Learner(photo_loaders(sample, size=32, bs=8), model, model.loss, cbs=[*cbs])


def fit(*cbs, share=0.01):
    "A share of an epoch without bars, a batch at least; what reached the network."
    shapes = Shapes()
    learn = stock_learner(shapes, ShortEpochCallback(share), *cbs)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
    assert all(p.isfinite().all() for p in learn.model.parameters())
    return learn, shapes.seen


def test_all_of_them_work_in_a_stock_learner():
    cbs = (
        RandomSize([32, 64]),
        SimulatedHints(),
        Aging(steps='album'),
        Rebalance(),
        Distillation([find_model('lite')]),
        PerceptualLoss(),
    )
    learn, seen = fit(*cbs, share=0.4)
    assert {shape[1:] for shape, _ in seen} == {(4, 32, 32), (4, 64, 64)}
    assert (learn.model.rarity != 1).any()
    assert not hasattr(learn, 'settings')


def test_each_changes_the_loss_that_is_followed():
    _, plain = fit()
    for cb in (PerceptualLoss(5.0), Distillation([find_model('lite')], share=0.9)):
        _, seen = fit(cb)
        assert seen[0][1] != pytest.approx(plain[0][1], rel=1e-3), cb


def test_rebalance_leaves_the_order_of_the_photos():
    dls = photo_loaders(sample, size=64, bs=32)
    learn = Learner(dls, Lite(), torch.nn.L1Loss())
    rebalance = Rebalance()
    rebalance.learn = learn
    rebalance.before_fit()
    counted = learn.model.rarity.clone()
    x, _ = next(iter(dls.train))
    again, _ = next(iter(photo_loaders(sample, size=64, bs=32).train))
    assert torch.equal(x, again)
    learn.model.rarity.fill_(1)
    rebalance.before_fit()
    assert torch.equal(learn.model.rarity, counted)


@pytest.mark.parametrize('cb', (None, MixedPrecision(), MixedPrecision(AMPMode.BF16), AMP('bf16')))
def test_networks_beside_the_learner_take_its_precision(cb):
    dls = photo_loaders(sample, size=64, bs=32)
    learn = Learner(dls, torch.nn.Conv2d(1, 2, 1), torch.nn.L1Loss(), cbs=[cb] if cb else [])
    assert learner_precision(learn) == ('float32' if cb is None else cb.amp_mode.value)


def seed(n=0):
    random.seed(n)
    np.random.seed(n)
    torch.manual_seed(n)


def batch(n=6, h=48, w=40, hints=False):
    "Photos of noise and their colors; with the channels of hints, if asked for."
    seed()
    x, y = torch.rand(n, 1, h, w) * 2 - 1, torch.rand(n, 2, h, w) - 0.5
    return (torch.cat([x, y, torch.ones_like(x)], 1) if hints else x), y


def aged(cb, x, y):
    "What a callback makes of a batch."
    cb.learn = SimpleNamespace(xb=(x,), yb=(y,))
    cb.before_batch()
    return cb.learn.xb[0], cb.learn.yb[0]


def first_aging(x, y, share=0.5, each=0.5):
    "`Aging` as it was when there were five steps, word for word."
    x = x.clone()
    old = torch.rand(len(x)) < share
    for age in (orthochromatic, blur, add_grain, fade, jpeg_artifacts):
        hit = (old & (torch.rand(len(x)) < each)).to(x.device)
        if hit.any():
            x[hit, :1] = age(x[hit, :1], y[hit])
    return x


@pytest.mark.parametrize('args', ({}, dict(share=0.4), dict(share=1.0, each=0.8)))
def test_without_steps_it_ages_as_in_old_runs(args):
    "The same pixels, and the same state of all generators, so that what comes after is the same as well."
    stored = json.loads(json.dumps([['colorlab.lite:Aging', args]]))  # as in an old settings.json
    [cb] = make_callbacks(stored)
    x, y = batch(hints=True)
    for n in range(5):
        seed(n)
        before = first_aging(x, y, **args)
        drawn = torch.rand(1), random.random()
        seed(n)
        now, truth = aged(cb, x, y)
        assert torch.equal(now, before) and torch.equal(truth, y)
        assert drawn == (torch.rand(1), random.random())


def test_new_trainings_of_lite_get_the_album_and_keep_its_order():
    stored = json.loads(json.dumps(DEFAULT_CALLBACKS['colorlab.lite:Lite']))
    [cb] = [cb for cb in make_callbacks(stored) if isinstance(cb, Aging)]
    assert cb.steps == AGING_MIXES['album'] and [*cb.steps] == [*AGING_STEPS]


def test_steps_are_names_with_or_without_shares():
    assert Aging(each=0.2, steps=['fade', 'blur']).steps == dict(fade=0.2, blur=0.2)
    assert Aging(steps='halftone').steps == dict(halftone=0.5)
    assert Aging(each=0.2, steps=dict(fade=0.9)).steps == dict(fade=0.9)
    with pytest.raises(BadInput, match='no aging named rain; choose from film, album, ortho') as e:
        make_callbacks([['colorlab.augment:Aging', dict(steps=dict(rain=1))]])
    assert '\n' not in str(e.value)


@pytest.mark.parametrize('name', AGING_STEPS)
@pytest.mark.parametrize('h,w', ((64, 64), (33, 70)))
def test_a_step_keeps_shape_and_range_and_draws_for_each_photo(name, h, w):
    x, y = batch(3, h, w)
    x[:], y[:] = x[:1].clone(), y[:1].clone()  # three times the same photo
    given = x.clone()
    for n in range(5):
        seed(n)
        found = AGING_STEPS[name](x, y)
        L = found.L if isinstance(found, Framed) else found
        assert L.shape == x.shape and L.dtype == x.dtype and L.isfinite().all()
        assert -1.001 <= L.min() and L.max() <= 1.001
        assert torch.equal(x, given)
    if name not in ('orthochromatic', 'blur', 'jpeg_artifacts'):  # those are the same for a batch, or for a photo
        assert not torch.allclose(L[0], L[1])


@pytest.mark.parametrize('extreme', (-1.0, 1.0))
def test_black_and_white_photos_stay_in_range(extreme):
    x, y = torch.full((4, 1, 32, 32), extreme), torch.zeros(4, 2, 32, 32)
    for name, step in AGING_STEPS.items():
        L = step(x, y)[0] if name == 'add_frame' else step(x, y)
        assert -1.001 <= L.min() and L.max() <= 1.001, name


def test_a_frame_has_no_color_and_no_colored_hints():
    x, y = batch(hints=True)
    given = x.clone(), y.clone()
    seed(1)
    seen, truth = aged(Aging(share=1.0, steps=dict(add_frame=1.0)), x, y)
    seed(1)
    old, each = torch.rand(len(x)), torch.rand(len(x))
    L, inside = AGING_STEPS['add_frame'](x[:, :1], y)
    assert (old < 1).all() and (each < 1).all()
    assert torch.equal(seen[:, :1], L) and torch.equal(truth, y * inside)
    assert torch.equal(seen[:, 1:3], x[:, 1:3] * inside) and torch.equal(seen[:, 3:], x[:, 3:])
    assert (inside == 0).any() and (inside == 1).any()
    assert torch.equal(L[inside == 1], x[:, :1][inside == 1])  # the photo itself is untouched
    assert torch.equal(x, given[0]) and torch.equal(y, given[1])  # others may hold the batch


def test_halftone_keeps_the_tone_and_draws_a_screen():
    gray = torch.linspace(-0.8, 0.8, 9)[:, None, None, None].expand(9, 1, 96, 96)
    seed()
    printed = AGING_STEPS['halftone'](gray, None)
    tones = printed.mean((1, 2, 3))
    assert (tones.diff() > 0).all() and (tones - gray[:, 0, 0, 0]).abs().max() < 0.2
    assert (printed.std((1, 2, 3)) > 0.03).all()


def test_teachers_do_not_color_frames():
    "They saw the photo before it was framed; on the frame the truth alone is learned."
    teacher = find_model('lite')
    x, y = batch(2, 64, 64)
    model = Lite().train()
    distillation, aging = Distillation([teacher], share=1.0), Aging(share=1.0, steps=dict(add_frame=1.0))
    learn = SimpleNamespace(xb=(x,), yb=(y,), model=model, dls=SimpleNamespace(device='cpu'), cbs=[], loss_grad=0.0)
    distillation.learn = aging.learn = learn
    distillation.before_fit()
    distillation.before_batch()
    aging.before_batch()
    asked = []
    model.both_losses = lambda pred, ab, p: asked.append((ab, p)) or torch.zeros(())
    learn.pred = None
    distillation.after_loss()
    [(ab, p)] = asked
    same = (learn.yb[0] == y).all(1, keepdim=True).expand_as(ab)
    assert 0 < same.float().mean() < 1
    assert torch.equal(ab[~same], learn.yb[0][~same])  # neutral on the frame, between at its edge
    assert torch.equal(ab[same], distillation.target_ab[same])
    neutral = model.bins.norm(dim=1) < 20
    frame = (learn.yb[0] == 0).all(1, keepdim=True).float()
    cells = model.subsample(torch.nn.functional.avg_pool2d(frame, 4))[:, 0] == 1  # that lie on it as a whole
    assert cells.any() and (p.transpose(0, 1)[:, cells][neutral].sum(0) > 0.99 * p.sum(1)[cells]).all()
