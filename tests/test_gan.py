"""An adversary in a run that is killed, and in learners of fastai that know nothing of runs."""

import json
import math
import os
import random
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from conftest import warm
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.training import GradientAccumulation
from fastai.learner import Learner
from safetensors.torch import load_file
from test_training import short_of_memory
from torch import nn

from colorlab.adversary import Adversary, frozen
from colorlab.callbacks import AMP
from colorlab.cnn import CNN
from colorlab.data import make_manifest
from colorlab.gan import TimmDisc
from colorlab.gan_losses import GAN_LOSSES
from colorlab.images import BadInput
from colorlab.loaders import photo_loaders
from colorlab.model_files import load_model, save_model
from colorlab.pretrained import lite0_weights
from colorlab.training import train

KILLS = int(os.environ.get('COLORLAB_KILLS', 3))
ADVERSARY = [
    'colorlab.adversary:Adversary',
    dict(
        args=dict(ndf=8, size=64), l1_weight=1000.0, real=[0.9, 1.0], fake=[0.0, 0.1], g_first=True, g_every=2, lr=1e-3
    ),
]  # R0's

root = Path(__file__).parents[1]


def training(said, settings):
    "In a process of its own: a training that writes what it says to a file."
    from colorlab.training import train

    os.environ['TQDM_DISABLE'] = '1'
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    train(**settings, device='cpu', checkpoint_seconds=0)


def process(said, **settings):
    "Start such a training; it has imported what takes long already."
    started = warm.Process(target=training, args=(said, settings))
    started.start()
    return started


def finish(said, **settings):
    "What a training says that is left alone."
    done = process(said, **settings)
    done.join()
    assert done.exitcode == 0
    return said.read_text()


def test_any_encoder_of_timm_fills_a_unet_and_a_discriminator(monkeypatch):
    import timm

    from colorlab import pretrained, unet

    monkeypatch.setattr(
        pretrained, 'pretrained_timm', lambda name, instead, **kwargs: timm.create_model(name, **kwargs)
    )
    for model in (
        unet.TimmUNet(encoder='efficientnet_b0'),
        TimmDisc(encoder='efficientnet_b0'),
        TimmDisc(encoder='resnet18'),
    ):
        unet.timm_encoder(model)


def history(run):
    return pd.read_csv(run / 'history.csv').drop(columns='seconds')


@pytest.mark.parametrize('precision', ['float32', 'bf16', 'fp16'])  # fp16: a loss scaler for each network resumes, too
def test_killed_and_resumed_is_the_same_gan(photos, tmp_path, precision):
    deaths = KILLS if precision == 'float32' else max(KILLS // 3, 1)
    size = 32 if precision == 'fp16' else 64  # a CPU computes fp16 slowly
    name, adversary = ADVERSARY
    run = dict(
        arch='colorlab.cnn:CNN',
        args=dict(nf=8),
        data=str(photos),
        size=size,
        bs=4,
        epochs=max(deaths * 4, 6),
        seed=3,
        loss='mse',
        precision=precision,
        channels_last=precision == 'fp16',
        callbacks=[[name, adversary | dict(args=dict(ndf=8, size=size))]],
    )
    said = tmp_path / 'said'
    told = finish(said, folder=str(tmp_path / 'whole'), **run)
    assert 'adv_loss' in told and 'd_loss' in told
    rng, kills, now = random.Random(0), 0, dict(folder=str(tmp_path / 'cut'), **run)
    for _ in range(deaths):
        said.write_text('')
        p = process(said, **now)
        while p.is_alive() and not said.read_text():  # it says that an epoch is done
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2 * min(deaths, 3)))
        if p.is_alive():
            p.kill()
            kills += 1
        p.join()
        now = dict(folder=str(tmp_path / 'cut'), resume=True)
    assert kills > deaths / 2
    finish(said, **now)
    for name in ('model.safetensors', 'disc.safetensors'):
        a, b = (load_file(tmp_path / r / name) for r in ('whole', 'cut'))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a), name
    pd.testing.assert_frame_equal(history(tmp_path / 'whole'), history(tmp_path / 'cut'), check_exact=True)
    assert {'g_loss', 'adv_loss', 'd_loss', 'd_accuracy', 'val_g_loss'} <= set(history(tmp_path / 'cut'))


def stock_learner(photos, *cbs, **kw):
    "A plain fastai learner with an adversary."
    torch.manual_seed(42)
    random.seed(42)
    dls = photo_loaders(make_manifest(photos), size=32, bs=4, device='cpu')
    adversary = Adversary(**dict(args=dict(ndf=4, size=32), lr=1e-3) | kw)
    return Learner(dls, CNN(nf=4), loss_func=F.l1_loss, cbs=[adversary, *cbs]), adversary


def weights(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def steps(adversary):
    return {int(s['step']) for s in adversary.disc_opt.state.values()}


def fit(learn, *args, **kw):
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(*args, **kw)


@pytest.mark.parametrize('how', [dict(), dict(g_first=True, g_every=2, real=[0.9, 1.0]), dict(loss='hinge')])
def test_an_adversary_joins_a_stock_learner_and_goes_on_in_a_second_fit(photos, how):
    learn, adversary = stock_learner(photos, **how)
    gen, disc = weights(learn.model), weights(adversary.disc)
    fit(learn, 2, 3e-3)
    once = weights(adversary.disc)
    assert not same(weights(learn.model), gen) and not same(once, disc)
    fit(learn, 1, 3e-3)
    assert not same(weights(adversary.disc), once)
    assert steps(adversary) == {3 * len(learn.dls.train)}  # one optimizer, which is not made anew
    metrics = adversary.epoch_metrics()
    names = 'g_loss adv_loss d_loss d_accuracy val_g_loss val_adv_loss val_d_loss'
    assert set(metrics) == set(names.split())
    assert all(map(torch.isfinite, torch.tensor(list(metrics.values()))))


def test_warm_starts_happen_once(photos, tmp_path):
    _, other = stock_learner(photos)
    file = tmp_path / 'disc.safetensors'
    save_model(other.disc, file, other.arch, other.args, 'lab', 32)
    learn, adversary = stock_learner(photos, warm_start=str(file), lr=0.0)
    fit(learn, 1)
    assert all(torch.equal(a, b) for a, b in zip(other.disc.parameters(), adversary.disc.parameters()))
    adversary.lr = 1e-3
    fit(learn, 1)
    moved = weights(adversary.disc)
    adversary.lr = 0.0
    fit(learn, 1)
    assert all(torch.equal(moved[k], p) for k, p in adversary.disc.named_parameters())


def test_the_learning_rate_follows_the_schedule_of_each_fit(photos):
    learn, adversary = stock_learner(photos)
    for highest in (3e-3, 1e-4):
        fit(learn, 1, highest)
        share = learn.opt.hypers[-1]['lr'] / highest
        assert share < 1 and adversary.disc_opt.param_groups[0]['lr'] == pytest.approx(1e-3 * share, rel=1e-9)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 5e-3)
    assert adversary.disc_opt.param_groups[0]['lr'] == pytest.approx(1e-3)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 0.0)  # a generator that stands still has no schedule to follow
    assert adversary.disc_opt.param_groups[0]['lr'] == pytest.approx(1e-3)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_half_precision_is_that_of_the_learner(photos, precision):
    learn, adversary = stock_learner(photos, AMP(precision), ChannelsLast())
    types = set()
    hook = adversary.disc.layers[1].register_forward_hook(lambda module, args, out: types.add(out.dtype))
    fit(learn, 2, 1e-3)
    hook.remove()
    assert types == {dict(bf16=torch.bfloat16, fp16=torch.float16)[precision]}
    assert adversary.disc_scaler.is_enabled() == (precision == 'fp16')
    assert adversary.disc.layers[1][0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.filterwarnings('ignore')
def test_fastais_mixed_precision_is_taken_too(photos):
    learn, adversary = stock_learner(photos, MixedPrecision('bf16'))
    fit(learn, 1, 1e-3)
    assert adversary.mixed is learn.mixed_precision and not adversary.disc_scaler.is_enabled()
    assert adversary.disc.layers[1][0].weight.is_contiguous()


def test_gradients_are_accumulated_for_both(photos):
    learn, adversary = stock_learner(photos, GradientAccumulation(8))
    fit(learn, 2, 1e-3)
    assert adversary.parts == 2 and steps(adversary) == {2 * (len(learn.dls.train) // 2)}


def test_finding_a_rate_and_predicting_leave_no_trace(photos, tmp_path):
    learn, adversary = stock_learner(photos)
    learn.path = tmp_path
    disc = weights(adversary.disc)
    with learn.no_bar(), learn.no_logging():
        learn.lr_find(num_it=6, show_plot=False)
        learn.get_preds()
        assert adversary.disc_opt is None
        learn.validate()  # before any fit
    assert same(weights(adversary.disc), disc) and adversary.epoch_metrics()['val_d_loss'] > 0
    fit(learn, 1, 1e-3)
    disc, metrics = weights(adversary.disc), adversary.epoch_metrics()
    with learn.no_bar():
        pred, truth = learn.get_preds()
    assert pred.shape == truth.shape
    assert same(weights(adversary.disc), disc) and adversary.epoch_metrics() == metrics


@pytest.mark.parametrize('loss', GAN_LOSSES)
def test_an_adversary_can_be_pickled_as_learners_are(loss):
    import pickle

    again = pickle.loads(pickle.dumps(Adversary(args=dict(ndf=4, size=32), loss=loss)))
    assert again.gan == GAN_LOSSES[loss]


@pytest.mark.parametrize('name', GAN_LOSSES)
def test_it_is_better_to_be_believed_and_right(name):
    loss, low, high = GAN_LOSSES[name], torch.tensor([-0.4]), torch.tensor([0.9])
    assert loss.real(high, 1.0) < loss.real(low, 1.0)
    assert loss.fake(low, 0.0) < loss.fake(high, 0.0)
    assert loss.gen(high, 1.0) < loss.gen(low, 1.0)
    for part in (loss.real, loss.fake, loss.gen):
        assert torch.isfinite(part(torch.tensor([-200.0, 200.0]), 1.0))


def test_an_adversary_is_found_where_it_was():
    import colorlab.gan
    from colorlab.model_files import resolve

    assert colorlab.gan.Adversary is resolve('colorlab.gan:Adversary') is Adversary


def test_what_did_not_learn_before_does_not_learn_after():
    disc = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    disc[0].requires_grad_(False)
    with frozen(disc):
        assert not any(p.requires_grad for p in disc.parameters())
    assert [p.requires_grad for p in disc.parameters()] == [False, False, True, True]


def tiny_run(folder, photos, cbs=(), disc='colorlab.gan:DeepCNN', args=dict(ndf=4, size=32), options={}, **kw):
    "A run of one epoch with a small adversary."
    settings = dict(
        arch='colorlab.cnn:CNN', args=dict(nf=4), data=str(photos), size=32, bs=3, epochs=1, train=12, val=2
    )
    settings |= dict(
        callbacks=[['colorlab.adversary:Adversary', dict(disc=disc, args=args) | options]], sample_epochs=[]
    )
    return train(folder, cbs=cbs, progress=False, device='cpu', checkpoint_seconds=0, **settings | kw)


PATCHES_94 = dict(ni=3, ndf=4, strides=[2, 2, 2, 2], zero_pad=True)  # R0's


@pytest.mark.parametrize(
    'wrong, words',
    [
        (dict(args=dict(ndf=4, size=32, ni=4)), 'build it with ni=3'),
        (dict(args=dict(ndf=4)), 'build it with size=32'),
        (dict(args=dict(size=48)), 'give 64'),
        (dict(disc='os:system'), 'no network'),
        (dict(options=dict(loss='wasserstein')), 'choose from bce'),
        (dict(options=dict(init='os:system')), 'no function'),
        (dict(options=dict(g_every=0)), 'at least'),
        (dict(disc='colorlab.gan:MLPDisc', args=dict(ni=3, widths=[4] * 6)), 'cannot judge 3 pictures of 32 pixels'),
        (dict(disc='colorlab.pix2pix:PatchGAN', args=PATCHES_94, size=8), 'cannot judge 3 pictures of 8 pixels'),
    ],
)
def test_what_cannot_work_is_said_before_a_folder_is_made(photos, tmp_path, wrong, words):
    with pytest.raises(BadInput, match=words):
        tiny_run(tmp_path / 'never', photos, **wrong)
    assert not (tmp_path / 'never').exists()


def test_a_checkpoint_with_another_discriminator_is_refused(photos, tmp_path):
    tiny_run(tmp_path / 'run', photos)
    file = tmp_path / 'run' / 'settings.json'
    settings = json.loads(file.read_text())
    settings['callbacks'][0][1]['args']['ndf'] = 8
    file.write_text(json.dumps(settings))
    with pytest.raises(BadInput, match='does not fit its settings'):
        train(tmp_path / 'run', resume=True, device='cpu')


@pytest.mark.parametrize('most, how, bs, parts', [(1, dict(), 1, 3), (5, dict(bs=16, train=11), 3, 4)])
def test_where_memory_is_short_both_step_once_for_all_parts_of_a_batch(photos, tmp_path, most, how, bs, parts):
    learn = tiny_run(tmp_path / 'run', photos, **short_of_memory(most) | how)
    assert (learn.dls.train.bs, learn.adversary.parts) == (bs, parts)
    whole = len(learn.dls.train) // parts
    assert steps(learn.adversary) == {int(s['step']) for s in learn.opt.opt.state.values()} == {whole}


def test_a_discriminator_of_an_earlier_run_and_a_pretrained_one(photos, tmp_path):
    first = tiny_run(tmp_path / 'first', photos).adversary
    kept, header = load_model(tmp_path / 'first' / 'disc.safetensors')
    assert same(weights(kept), weights(first.disc)) and header['arch'] == 'colorlab.gan:DeepCNN'
    start = dict(warm_start=str(tmp_path / 'first'), init='colorlab.unet:lite0_encoder')
    again = Adversary(args=dict(ndf=4, size=32), **start)  # what would only be written over is not fetched
    again.fill_disc()
    assert same(weights(kept), weights(again.disc))
    with pytest.raises(BadInput, match='do not fit'):
        tiny_run(
            tmp_path / 'never', photos, args=dict(ndf=8, size=32), options=dict(warm_start=str(tmp_path / 'first'))
        )
    lite0 = dict(encoder='tf_efficientnet_lite0')
    pretrained = Adversary('colorlab.gan:TimmDisc', lite0, init='colorlab.unet:lite0_encoder')
    pretrained.fill_disc()
    assert torch.equal(pretrained.disc.encoder.conv_stem.weight, lite0_weights()['conv_stem.weight'])


def test_a_discriminator_that_explodes_stops_the_run(photos, tmp_path):
    class Explode(Callback):
        def before_batch(self):
            self.adversary.disc.layers[-1].weight.data.fill_(math.inf)

    with pytest.raises(BadInput, match='the d_loss is'):
        tiny_run(tmp_path / 'run', photos, cbs=[Explode()])


def test_every_discriminator_of_lesson_gan_trains(photos, tmp_path):
    r4 = dict(disc='colorlab.gan:MLPDisc', args=dict(ni=4, widths=[8, 16, 32]), space='rgb')
    r4 |= dict(options=dict(loss='minimax-eps', l1_weight=50.0))
    with_color = tiny_run(tmp_path / 'r4', photos, **r4 | dict(arch='colorlab.cnn:CNN'))
    resnet = tiny_run(tmp_path / 'resnet', photos, disc='colorlab.gan:TimmDisc', args={}, options=dict(loss='hinge'))
    for learn in (with_color, resnet):
        assert all(map(math.isfinite, learn.adversary.epoch_metrics().values()))
