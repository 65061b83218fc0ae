"""A whole GAN step, generator and discriminator: the textbook's loop in float32, and colorlab's learner
with its adversary, epoch by epoch in turn.

python benchmarks/gan.py                           # on a CPU
python benchmarks/gan.py cuda 989                  # on a GPU whose bf16 peak is 989 TFLOP/s
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback

from colorlab.callbacks import default_precision
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.lab import SPACES
from colorlab.loaders import photo_loaders
from colorlab.model_files import create_model
from colorlab.recipes import copy_few_photos, count_flops, preset
from colorlab.runs import Run, Settings
from colorlab.training import fit_epochs, run_learner, write_baselines


def textbook(gen, disc, g_opt, d_opt, batches, l1_weight=100.0):
    "pix2pix as the tutorials write it: one forward pass of the generator, three of the discriminator."
    bce = F.binary_cross_entropy_with_logits
    for x, y in batches:
        fake = gen(x)
        real_score, fake_score = disc(x, y), disc(x, fake.detach())
        d_loss = (bce(real_score, torch.ones_like(real_score)) + bce(fake_score, torch.zeros_like(fake_score))) / 2
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
        score = disc(x, fake)
        g_loss = bce(score, torch.ones_like(score)) + l1_weight * F.l1_loss(fake, y)
        g_opt.zero_grad()
        g_loss.backward()
        g_opt.step()


class InTurn(Callback):
    "Times the learner's training epochs, the same epoch of a textbook loop after each, and reading its batches alone."

    order = 90

    def __init__(self, gen, disc):
        self.nets = gen, disc, *(torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for m in (gen, disc))
        self.seconds = dict(learner=[], textbook=[], input=[])
        self.memory = dict(learner=0, textbook=0)

    def now(self):
        if self.dls.device.type == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(self, name, work):
        if self.dls.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        self.dls.train.epoch, began = self.epoch, self.now()
        work()
        self.seconds[name].append(self.now() - began)
        if self.dls.device.type == 'cuda' and name in self.memory:
            self.memory[name] = torch.cuda.max_memory_allocated()

    def before_train(self):
        if self.dls.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        self.began = self.now()

    def after_train(self):
        self.seconds['learner'].append(self.now() - self.began)
        if self.dls.device.type == 'cuda':
            self.memory['learner'] = torch.cuda.max_memory_allocated()
        self.timed('input', lambda: [None for _ in self.dls.train])
        self.timed('textbook', lambda: textbook(*self.nets, self.dls.train))


def side_by_side(name, size, device, photos, bs, epochs=3, peak=None):
    "One preset at one size."
    best = dict(precision='bf16' if device == 'cuda' else default_precision(), channels_last=True)
    wanted = preset(name, size=size, bs=bs, epochs=epochs, sample_epochs=[], data=str(photos)) | best
    settings = Settings(**wanted)
    how = settings.callbacks[0][1]
    gen, disc = (
        create_model(a, args).to(device) for a, args in ((settings.arch, settings.args), (how['disc'], how['args']))
    )
    with tempfile.TemporaryDirectory() as tmp:
        run, manifest = Run(tmp), make_manifest(photos)
        run.create(settings, manifest)
        dls = photo_loaders(manifest, SPACES[settings.space], size=size, bs=bs, device=device)
        write_baselines(run, dls)
        learn, turns = run_learner(run, dls, settings, None, checkpoint_seconds=np.inf), InTurn(gen, disc)
        learn.add_cb(turns)
        fit_epochs(learn, settings, 0)
    n, t = dls.train.n, {k: np.median(v[1:]) for k, v in turns.seconds.items()}
    print(
        f'{name}, {size} px, batches of {bs}: textbook in float32 {n / t["textbook"]:7.1f} photos/s; '
        f'colorlab, {best["precision"]}, channels last {n / t["learner"]:7.1f}: '
        f'{t["textbook"] / t["learner"]:.2f}×; reading alone {n / t["input"]:.0f}; '
        f'10,000 photos in {10_000 * t["learner"] / n / 60:.1f} min',
        end='',
    )
    if device == 'cuda':
        print(
            f'; peak memory {turns.memory["textbook"] / 2**30:.2f} and {turns.memory["learner"] / 2**30:.2f} GiB',
            end='',
        )
    print(f'; {count_flops(wanted) * n / t["learner"] / peak / 1e12:.1%} of the peak' if peak else '')


def main(device='cpu', peak=None):
    print(
        machine_name(),
        torch.get_num_threads(),
        'threads, TF32',
        'on' if torch.backends.cuda.matmul.allow_tf32 else 'off in products,',
        'on' if torch.backends.cudnn.allow_tf32 else 'off',
        'in convolutions',
    )
    with tempfile.TemporaryDirectory() as tmp:
        photos = copy_few_photos(Path(tmp) / 'photos', 80 if device == 'cpu' else 250)
        for name, size in (('R2-unet', 128), ('R1', 256)):
            side_by_side(name, size, device, photos, 16 if device == 'cpu' else 32, peak=float(peak) if peak else None)


if __name__ == '__main__':
    main(*sys.argv[1:])
