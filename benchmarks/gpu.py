"""What a GPU makes of R1 and of lite: photos a second, peak memory and share of the chip's bf16 peak, beside a plain
loop in float32, epoch by epoch in turn; then R1 for as long as there is time, and whether the plan for it was right.

python benchmarks/gpu.py --seconds 240 --out gpu.json     # on a GPU; its peak is measured, or given: --peak 989
python benchmarks/gpu.py --toy                            # a CPU can try the script

It needs what colorlab imports: `pip install .` brings all of it. Where nothing can be fetched, wheels do:
fastai, fastcore, fasttransform, fastprogress, plum-dispatch, timm, simplejpeg and array-api-compat beside torch.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback

from colorlab.budget import fast_settings, plan_budget, smaller_settings
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.lab import SPACES
from colorlab.learner import choose_loss
from colorlab.lite import lite_recipe
from colorlab.loaders import photo_loaders
from colorlab.model_files import create_model
from colorlab.planning import device_clock
from colorlab.recipes import copy_few_photos, count_flops, preset, scale_width
from colorlab.runs import Run, Settings
from colorlab.training import default_device, fit_epochs, run_learner, train, write_baselines


def matmul_peak(device, toy):
    "Operations a second of a large product of bf16 matrices: what the chip can do."
    n, rounds = (512, 3) if toy else (8192, 10)
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    began = device_clock(device)
    for _ in range(rounds):
        a @ b
    return 2 * n**3 * rounds / (device_clock(device) - began)


def plain_step(settings, device):
    "A step as tutorials write it: float32, AdamW."
    model = create_model(settings.arch, settings.args).to(device).train()
    opt, loss_func = torch.optim.AdamW(model.parameters(), 1e-4), choose_loss(model)

    def step(x, y):
        loss_func(model(x), y).backward()
        opt.step()
        opt.zero_grad()

    return step


def gan_step(settings, device, l1_weight=100.0):
    "pix2pix as tutorials write it: one forward pass of the generator, three of the discriminator."
    how = settings.callbacks[0][1]
    pairs = (settings.arch, settings.args), (how['disc'], how['args'])
    gen, disc = (create_model(arch, args).to(device).train() for arch, args in pairs)
    g_opt, d_opt = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for m in (gen, disc))

    def bce(score, label):
        return F.binary_cross_entropy_with_logits(score, torch.full_like(score, label))

    def step(x, y):
        fake = gen(x)
        d_opt.zero_grad()
        ((bce(disc(x, y), 1) + bce(disc(x, fake.detach()), 0)) / 2).backward()
        d_opt.step()
        g_opt.zero_grad()
        (bce(disc(x, fake), 1) + l1_weight * F.l1_loss(fake, y)).backward()
        g_opt.step()

    return step


class InTurn(Callback):
    "Times the learner's epochs of training, and the same epochs of a plain loop and of reading alone."

    order = 400  # after everybody else

    def __init__(self, step):
        self.step = step
        self.seconds = dict(learner=[], plain=[], reading=[])
        self.memory = {}

    def start(self):
        if self.dls.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        self.began = device_clock(self.dls.device)

    def stop(self, name):
        self.seconds[name].append(device_clock(self.dls.device) - self.began)
        if self.dls.device.type == 'cuda':
            self.memory[name] = torch.cuda.max_memory_allocated() / 2**30

    def before_train(self):
        self.start()

    def after_train(self):
        self.stop('learner')
        for name, step in (('plain', self.step), ('reading', lambda x, y: None)):
            self.dls.train.epoch = self.epoch
            self.start()
            for x, y in self.dls.train:
                step(x, y)
            self.stop(name)


def side_by_side(name, settings, step, device, peak):
    "The figures of one system."
    manifest = make_manifest(settings.data)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder)
        run.create(settings, manifest)
        sizes = dict(size=settings.size, bs=settings.bs, margin=settings.margin)
        dls = photo_loaders(manifest, SPACES[settings.space], device=device, **sizes)
        write_baselines(run, dls)
        learn, turns = run_learner(run, dls, settings, None, checkpoint_seconds=np.inf), InTurn(step)
        learn.add_cb(turns)
        fit_epochs(learn, settings, 0)
    speed = {which: dls.train.n / np.median(seconds[1:]) for which, seconds in turns.seconds.items()}
    flops = count_flops(asdict(settings))
    return dict(
        system=name,
        size=settings.size,
        bs=settings.bs,
        precision=settings.precision,
        photos_a_second={which: round(float(photos), 1) for which, photos in speed.items()},
        times_plain=round(float(speed['learner'] / speed['plain']), 2),
        peak_gib={which: round(gib, 2) for which, gib in turns.memory.items()},
        share_of_peak=round(float(flops * speed['learner'] / peak), 3),
    )


def r1_for(seconds, settings, device):
    "Train R1 within a budget; what was planned, what it took, and how good it is."
    plan = plan_budget(settings, make_manifest(settings.data), seconds, device)
    print(plan, flush=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(folder, progress=False, device=device, checkpoint_seconds=60.0, **asdict(plan.settings))
        taken, run = time.perf_counter() - began, Run(folder)
        last, gray = run.history().iloc[-1], run.baselines().loc['gray']
    return dict(
        planned_seconds=round(plan.seconds, 1),
        seconds=round(taken, 1),
        size=plan.settings.size,
        epochs=plan.settings.epochs,
        photos=plan.n_train,
        psnr=round(float(last.psnr), 2),
        psnr_gray=round(float(gray.psnr), 2),
        ab_rmse=round(float(last.ab_rmse), 2),
        ab_rmse_gray=round(float(gray.ab_rmse), 2),
        colorfulness=round(float(last.colorfulness), 1),
    )


def systems(photos, device, toy):
    "R1 at 256 pixels and lite, in batches of 16; small ones to try the script."
    fast, common = fast_settings(device), dict(data=str(photos), sample_epochs=[], epochs=4)
    r1 = preset('R1', size=256, bs=16)
    lite = lite_recipe(size=256)
    if toy:
        r1, lite = scale_width(r1, 16) | dict(bs=4), lite | dict(size=64, bs=4)
        common |= dict(epochs=2)
    r1, lite = (Settings(**wanted | common | fast) for wanted in (r1, lite))
    return dict(R1=smaller_settings(r1, 64) if toy else r1, lite=lite)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=float, default=240.0, help='for R1')
    parser.add_argument('--peak', type=float, help='of the chip in bf16, TFLOP/s; by default measured')
    parser.add_argument('--out', type=Path, help='a JSON file')
    parser.add_argument('--toy', action='store_true', help='small, on the CPU')
    how = parser.parse_args()
    device = 'cpu' if how.toy else default_device()
    peak = how.peak * 1e12 if how.peak else matmul_peak(device, how.toy)
    found = dict(machine=machine_name(), device=device, peak_tflops=round(peak / 1e12, 2), systems=[])
    with tempfile.TemporaryDirectory() as tmp:
        photos = copy_few_photos(Path(tmp) / 'photos', 20 if how.toy else 256)
        chosen = systems(photos, device, how.toy)
        for name, settings in chosen.items():
            step = (gan_step if name == 'R1' else plain_step)(settings, device)
            found['systems'].append(side_by_side(name, settings, step, device, peak))
            print(found['systems'][-1], flush=True)
        reported = replace(chosen['R1'], epochs=2 if how.toy else 100)
        found['r1_run'] = r1_for(60.0 if how.toy else how.seconds, reported, device)
    print(json.dumps(found, indent=2))
    if how.out:
        how.out.write_text(json.dumps(found, indent=2))
    print('| system | plain float32, photos a second | colorlab | times | peak GiB, plain and colorlab | of the peak |')
    print('|---|---|---|---|---|---|')
    for row in found['systems']:
        speed, memory = row['photos_a_second'], row['peak_gib']
        gib = f'{memory["plain"]}, {memory["learner"]}' if memory else ''
        cells = f'{row["system"]}, {row["size"]} px', speed['plain'], f'{speed["learner"]} ({row["precision"]})'
        print('|', *(f'{cell} |' for cell in (*cells, row['times_plain'], gib, f'{row["share_of_peak"]:.1%}')))


if __name__ == '__main__':
    main()
