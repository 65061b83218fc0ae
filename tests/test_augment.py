"""The callbacks that change what a network sees, and those of Lite, in a plain fastai Learner over our loaders."""

import random

import numpy as np
import pytest
import torch
from conftest import sample
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.callback.schedule import Learner  # with fit_one_cycle
from fastai.callback.training import ShortEpochCallback

from colorlab.augment import Aging, RandomSize, SimulatedHints
from colorlab.backends import find_model
from colorlab.callbacks import AMP
from colorlab.lite import Distillation, Lite, PerceptualLoss, Rebalance, learner_precision
from colorlab.loaders import photo_loaders
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
        Aging(),
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
