"A budget is planned with the time that the real learner takes, and the plan is kept."

import time
from dataclasses import asdict, replace

import pytest
import torch

from colorlab import budget
from colorlab.adversary import Adversary
from colorlab.checkpoints import load_checkpoint
from colorlab.cnn import CNN
from colorlab.data import make_manifest
from colorlab.images import BadInput
from colorlab.planning import StepTime, measure_step
from colorlab.recipes import preset
from colorlab.runs import Run, Settings
from colorlab.training import train

DISC = ['colorlab.adversary:Adversary', dict(disc='colorlab.pix2pix:PatchGAN', args=dict(ni=3, ndf=4))]


@pytest.fixture
def small(photos):
    return Settings('colorlab.cnn:CNN', str(photos), args=dict(nf=4), size=64, bs=4, schedule='constant')


def test_a_discriminator_s_step_is_timed(small, monkeypatch):
    step_disc = Adversary.step_disc

    def slow(self):
        time.sleep(0.1)
        step_disc(self)

    monkeypatch.setattr(Adversary, 'step_disc', slow)
    manifest = make_manifest(small.data)
    alone, both = (measure_step(replace(small, callbacks=cbs), manifest).seconds for cbs in ([], [DISC]))
    assert alone < 0.1 <= both


def test_reading_is_timed_too(small, monkeypatch):
    from colorlab.batches import PhotoLoader

    to_xy = PhotoLoader.to_xy

    def slow(self, photos, flips):
        time.sleep(0.1)
        return to_xy(self, photos, flips)

    monkeypatch.setattr(PhotoLoader, 'to_xy', slow)
    step = measure_step(small, make_manifest(small.data))
    assert step.seconds >= 0.1 and step.valid_seconds >= 0.1


def test_a_batch_that_does_not_fit_is_timed_in_parts(small, monkeypatch):
    forward, sizes = CNN.forward, set()

    def with_little_memory(self, x):
        if x.device.type != 'meta' and len(x) > 2:
            raise torch.OutOfMemoryError('simulated')
        sizes.add(len(x))
        return forward(self, x)

    monkeypatch.setattr(CNN, 'forward', with_little_memory)
    step = measure_step(small, make_manifest(small.data))
    assert step.seconds > 0 and max(sizes) == 2


def test_measuring_leaves_no_trace(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    plan = budget.plan_budget(replace(small, epochs=3), make_manifest(small.data), 600, 'cpu')
    assert not list(tmp_path.glob('*.*')) and torch.get_num_threads() == threads
    assert not torch.is_autocast_enabled('cpu')
    assert plan.changes == [] and str(plan).endswith('as reported')
    train(tmp_path / 'run', progress=False, device='cpu', **asdict(plan.settings))
    assert len(Run(tmp_path / 'run').history()) == 3


def on_machine(seconds):
    "A machine on which a step at 256 pixels takes this long."
    return lambda s, *_: StepTime(s.size, seconds * (s.size / 256) ** 2, 1)


@pytest.mark.parametrize(
    'seconds, minutes, size, epochs, all_photos',
    [
        (0.03, 600, 256, 100, True),
        (0.05, 20, 256, 28, True),
        (0.2, 20, 128, 28, True),
        (2.0, 20, 64, 15, False),
    ],
)
def test_r1_within_a_budget(monkeypatch, photos, seconds, minutes, size, epochs, all_photos):
    "R1 on 10,000 photos, on four machines. What does not fit goes in this order: epochs, size, photos."
    monkeypatch.setattr(budget, 'measure_step', on_machine(seconds))
    manifest, counts = make_manifest(photos), dict(train=10_000, val=2_000)
    monkeypatch.setattr(manifest, 'subset', lambda split: range(counts[split]))
    reported = Settings(**preset('R1'), data=str(photos))
    plan = budget.plan_budget(reported, manifest, budget.parse_budget(f'{minutes} min'), 'cpu')
    assert plan.seconds + plan.judge_seconds <= 60 * minutes
    assert plan.settings.size == size and abs(plan.settings.epochs - epochs) <= 1
    assert (plan.n_train == 10_000) == (plan.settings.train == reported.train) == all_photos
    if size < 256:
        assert f'size {size} instead of 256' in plan.changes and 'levels' in ' '.join(plan.changes)


def test_as_reported_only_estimates(monkeypatch, photos):
    monkeypatch.setattr(budget, 'measure_step', on_machine(0.2))
    reported = Settings(**preset('R3'), data=str(photos))
    plan = budget.plan_budget(reported, make_manifest(photos), None, 'cpu')
    assert (plan.settings.epochs, plan.settings.size, plan.changes) == (reported.epochs, 256, [])
    assert 'done at about' in str(plan) and plan.judge_seconds == 0


def test_no_budget_is_too_small_without_a_word(monkeypatch, photos):
    monkeypatch.setattr(budget, 'measure_step', on_machine(500))
    reported = Settings(**preset('R1'), data=str(photos))
    with pytest.raises(BadInput, match=r'the least that is worth it takes \d+ min') as e:
        budget.plan_budget(reported, make_manifest(photos), 60, 'cpu')
    assert '\n' not in str(e.value)


@pytest.mark.parametrize('device, capability, precision', [('cuda', (7, 5), 'fp16'), ('cuda', (8, 0), 'bf16')])
def test_precision_is_that_of_the_chip(monkeypatch, device, capability, precision):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device=None: capability)
    assert budget.fast_settings(device) == dict(precision=precision, channels_last=True)
    assert budget.fast_settings('mps') == dict(precision='float32', channels_last=False)


def test_fp16_with_an_adversary_scales_both_losses(small, tmp_path):
    wanted = asdict(small) | dict(callbacks=[DISC], precision='fp16', epochs=1, size=32, sample_epochs=[])
    train(tmp_path / 'run', progress=False, device='cpu', **wanted)
    state = load_checkpoint(Run(tmp_path / 'run'))
    assert state['scaler']['scale'] > 0 and state['callbacks'][0]['disc_scaler']['scale'] > 0
    assert Run(tmp_path / 'run').history().g_loss.notna().all()
