"""Seconds of a training step: a pix2pix-size U-Net in float32 and with the best settings.

Also what keeping memory saves, and what the learner adds to a plain loop.

python benchmarks/step.py
"""

import multiprocessing
import resource
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback

from colorlab.callbacks import default_precision, depthwise_to_float32, tune_malloc
from colorlab.cnn import CNN
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.images import sample_folder
from colorlab.lite import Lite
from colorlab.loaders import photo_loaders
from colorlab.model_files import create_model
from colorlab.models import get_y
from colorlab.presets import report_generator
from colorlab.runs import PRECISIONS, Run, Settings
from colorlab.training import fit_epochs, run_learner, write_baselines
from colorlab.unet import TimmUNet


def pix2pix_unet():
    "The U-Net of pix2pix and of R1.3, 54 million parameters."
    how = report_generator('r1-unet')
    return create_model(how['arch'], how['args'])


def stepper(model, precision='float32', channels_last=False):
    "A plain training step of a network; seconds it took."
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    opt, dtype = torch.optim.AdamW(model.parameters(), 2e-4, betas=(0.5, 0.999)), PRECISIONS[precision]

    def step(x, y):
        if channels_last:
            x = x.to(memory_format=torch.channels_last)
        began = time.perf_counter()
        with torch.autocast('cpu', dtype, enabled=dtype is not None):
            loss = F.l1_loss(get_y(model(x)).float(), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
        loss.item()
        return time.perf_counter() - began

    return step


def settings_side_by_side(rounds=6, bs=4, size=256):
    "The same network in float32 and with the settings that the demo would choose here, step by step in turn."
    x, y = torch.rand(bs, 1, size, size) * 2 - 1, torch.rand(bs, 2, size, size) - 0.5
    best = dict(precision=default_precision(), channels_last=True)
    rows = {
        'float32, plain': {},
        'float32, channels last': dict(channels_last=True),
        f'{best["precision"]}, plain': dict(precision=best['precision']),
        f'{best["precision"]}, channels last': best,
    }
    steps = {name: stepper(pix2pix_unet(), **how) for name, how in rows.items()}
    times = {name: [] for name in steps}
    for i in range(rounds + 2):
        for name, step in steps.items():
            times[name].append(step(x, y))
    plain = np.median(times['float32, plain'][2:])
    for name, t in times.items():
        print(f'{name:26} {np.median(t[2:]):6.2f} s a step   {plain / np.median(t[2:]):5.2f}×')


def memory_step(size, kept, told, bs=16):
    "Processor seconds of a step of `lite`, and how many of them the system took; alone in a process."
    if kept:
        tune_malloc()
    torch.set_num_threads(1)
    model = Lite()
    depthwise_to_float32(model)
    step, x = stepper(model, default_precision(), channels_last=True), torch.rand(bs, 1, size, size) * 2 - 1
    y = torch.rand(bs, 2, size, size) - 0.5
    for _ in range(2):
        step(x, y)
    before, n = resource.getrusage(resource.RUSAGE_SELF), 6
    for _ in range(n):
        step(x, y)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    told.put(((user + system) / n, system / n))


def memory_side_by_side(rounds=3):
    "A step of `lite` when memory goes back to the system, and when it is kept: processes in turn."
    context = multiprocessing.get_context('spawn')
    for size in (128, 192, 256):
        times = {False: [], True: []}
        for _ in range(rounds):
            for kept in times:
                told = context.Queue()
                process = context.Process(target=memory_step, args=(size, kept, told))
                process.start()
                times[kept].append(told.get())
                process.join()
        (fresh, fresh_system), (kept, kept_system) = (np.median(t, 0) for t in times.values())
        print(
            f"lite, {size} px: {fresh:.2f} s of processor a step, {fresh_system:.2f} of it the system's; "
            f'memory kept: {kept:.2f} s, {kept_system:.2f}: {fresh / kept:.2f}×'
        )


class Plain(Callback):
    "Times the learner's training epochs, and a plain loop over the same batches after each of them."

    order = 70

    def __init__(self, model):
        self.model_, self.opt_ = model, torch.optim.AdamW(model.parameters(), 1e-4)
        self.learner, self.plain = [], []

    def before_train(self):
        self.began = time.perf_counter()

    def after_train(self):
        self.learner.append(time.perf_counter() - self.began)
        self.dls.train.epoch, began = self.epoch, time.perf_counter()
        self.model_.train()
        for x, y in self.dls.train:
            F.l1_loss(self.model_(x), y).backward()
            self.opt_.step()
            self.opt_.zero_grad()
        self.plain.append(time.perf_counter() - began)


def overhead(arch, model, epochs, size):
    "What callbacks, history and progress cost beside the training itself, in percent."
    settings = Settings(arch=arch, data=str(sample_folder()), size=size, epochs=epochs, sample_epochs=[])
    with tempfile.TemporaryDirectory() as tmp:
        run, manifest = Run(tmp), make_manifest(settings.data)
        run.create(settings, manifest)
        dls = photo_loaders(manifest, size=size, bs=settings.bs)
        write_baselines(run, dls)
        learn, timer = run_learner(run, dls, settings, None), Plain(model)
        learn.add_cb(timer)
        fit_epochs(learn, settings, 0)
    ratio = np.median(np.array(timer.learner[1:]) / np.array(timer.plain[1:]))
    print(
        f'{arch:22} {size} px: learner {np.median(timer.learner[1:]):5.2f} s an epoch, '
        f'plain loop {np.median(timer.plain[1:]):5.2f} s: {100 * (ratio - 1):+.1f} %'
    )


if __name__ == '__main__':
    print(machine_name(), f'{torch.get_num_threads()} threads')
    settings_side_by_side()
    memory_side_by_side()
    overhead('colorlab.cnn:CNN', CNN(), 9, 128)
    overhead('colorlab.unet:TimmUNet', TimmUNet(), 9, 128)
