"""Real kills of a training with an adversary: generator, discriminator and history end as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from colorlab.gan import TimmDisc

KILLS = int(os.environ.get('COLORLAB_KILLS', 3))
SCRIPT = 'import json, sys; from colorlab.training import train; train(**json.loads(sys.argv[1]))'
ADVERSARY = [
    'colorlab.gan:Adversary',
    dict(
        args=dict(ndf=8, size=64), l1_weight=1000.0, real=[0.9, 1.0], fake=[0.0, 0.1], g_first=True, g_every=2, lr=1e-3
    ),
]  # R0's


def process(**kw):
    return subprocess.Popen(
        [sys.executable, '-c', SCRIPT, json.dumps(kw | dict(device='cpu', checkpoint_seconds=0))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | dict(TQDM_DISABLE='1'),
        text=True,
    )


def finish(**kw):
    p = process(**kw)
    out, err = p.communicate()
    assert p.returncode == 0, err
    return out


def test_any_encoder_of_timm_fills_a_unet_and_a_discriminator(monkeypatch):
    import timm

    from colorlab import unet

    monkeypatch.setattr(
        unet, 'pretrained_timm', lambda name, instead, **how: timm.create_model(name, **how)
    )  # without a network
    for model in (
        unet.TimmUNet(encoder='efficientnet_b0'),
        TimmDisc(encoder='efficientnet_b0'),
        TimmDisc(encoder='resnet18'),
    ):
        unet.timm_encoder(model)


def history(run):
    return pd.read_csv(run / 'history.csv').drop(columns='seconds')


@pytest.mark.parametrize('precision', ['float32', 'bf16'])
def test_killed_and_resumed_is_the_same_gan(photos, tmp_path, precision):
    run = dict(
        arch='colorlab.cnn:CNN',
        args=dict(nf=8),
        data=str(photos),
        size=64,
        bs=4,
        epochs=KILLS * 4,
        seed=3,
        loss='mse',
        precision=precision,
        callbacks=[ADVERSARY],
    )
    told = finish(folder=str(tmp_path / 'whole'), **run)
    assert 'adv_loss' in told and 'd_loss' in told
    rng, kills, now = random.Random(0), 0, dict(folder=str(tmp_path / 'cut'), **run)
    for _ in range(KILLS):
        p = process(**now)
        p.stdout.readline()  # it says that an epoch is done
        time.sleep(rng.uniform(0, 0.6))
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
            kills += 1
        p.communicate()
        now = dict(folder=str(tmp_path / 'cut'), resume=True)
    assert kills > KILLS / 2
    finish(**now)
    for name in ('model.safetensors', 'disc.safetensors'):
        a, b = (load_file(tmp_path / r / name) for r in ('whole', 'cut'))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a), name
    pd.testing.assert_frame_equal(history(tmp_path / 'whole'), history(tmp_path / 'cut'), check_exact=True)
    assert {'adv_loss', 'd_loss', 'd_accuracy'} <= set(history(tmp_path / 'cut'))
