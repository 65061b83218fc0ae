"""Training on several devices: bytes of gradients a step against computing, on paper; and two processes, measured.

python benchmarks/distributed.py paper    # tables for 2, 8 and 64 GPUs, from the sizes of the networks
python benchmarks/distributed.py two      # photos a second of one and of two processes on this machine's CPUs
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback, CancelFitException
from torch import distributed

from colorlab.callbacks import freeze_layers
from colorlab.distributed import process_count, process_rank, torchrun_processes
from colorlab.model_files import create_model
from colorlab.recipes import T4_FLOPS, count_flops, disc_args, system_settings
from colorlab.training import train

SYSTEMS = 'R0-lab', 'R0-pix2pix', 'R1', 'R2-unet', 'R2-autoencoder', 'R2-resnet', 'R3', 'R4-koala', 'R4-cgan', 'lite'
PHOTOS = 16  # of each GPU in a step
SPEEDS = {'T4, float32': T4_FLOPS, 'ten times as fast': 10 * T4_FLOPS}  # operations a second, sustained
LINKS = {2: 10e9, 8: 10e9, 64: 3.1e9}  # bytes a second: PCIe in one machine; 25 Gbit/s between eight machines of eight
DELAY = 20e-6  # seconds of each of the 2(N − 1) hops of a ring, an assumption


def gradient_bytes(wanted):
    "Bytes of a step's gradients, float32, of generator and discriminator; what is frozen has none."
    with torch.device('meta'):
        nets = [create_model(wanted['arch'], wanted['args'])]
        nets += [create_model(options['disc'], options.get('args')) for options in disc_args(wanted)]
    if wanted.get('freeze'):
        freeze_layers(nets[0], wanted['freeze'])
    return [sum(p.nbytes for p in net.parameters() if p.requires_grad) for net in nets]


def ring_seconds(size, n):
    "An all-reduce of so many bytes among n processes in a ring."
    return 2 * (n - 1) / n * size / LINKS[n] + 2 * (n - 1) * DELAY


def paper():
    "What share of its time each system would compute, if nothing is computed while gradients travel."
    rows = {}
    for name in SYSTEMS:
        wanted = system_settings(name)
        wanted.setdefault('size', 128)
        sizes = gradient_bytes(wanted)
        row = {'G, MB': sizes[0] / 1e6, 'D, MB': sum(sizes[1:]) / 1e6}
        for speed, flops in SPEEDS.items():
            computing = count_flops(wanted) * PHOTOS / flops
            row[f'{speed}, ms'] = 1000 * computing
            for n in LINKS:
                row[f'{n}, {speed}'] = computing / (computing + ring_seconds(sum(sizes), n))
        rows[name] = row
    table = pd.DataFrame(rows).T
    shares = [c for c in table if c[0].isdigit()]
    print(table.assign(**{c: table[c].map('{:.0%}'.format) for c in shares}).round(1).to_string())


class StepClock(Callback):
    "Seconds of each step; the training ends after some."

    order, run_valid = 70, False

    def __init__(self, steps):
        self.steps, self.seconds = steps, []

    def before_train(self):
        self.last = time.perf_counter()

    def after_batch(self):
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now
        if len(self.seconds) == self.steps:
            raise CancelFitException


def measure(name, bs, steps=12):
    "In one or several processes: the median seconds of a step, and of an all-reduce of its gradients alone."
    wanted = system_settings(name, data='sample', size=128, bs=bs * process_count(), epochs=1, betas=None)
    wanted |= dict(precision='float32', sample_epochs=[])
    size, clock = sum(gradient_bytes(wanted)), StepClock(steps)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(os.environ.get('SCALING_RUN', folder)) / name
        train(folder, device='cpu', progress=False, cbs=[clock], **wanted)
    spent, vector = [], torch.zeros(size // 4)
    for _ in range(6 if process_count() > 1 else 0):
        began = time.perf_counter()
        distributed.all_reduce(vector)
        spent.append(time.perf_counter() - began)
    step = np.median(clock.seconds[2:])
    if not process_rank():
        exchange = f', of which gradients {1000 * np.median(spent[1:]):.0f} ms' if spent else ''
        line = f'{name}: {process_count()} × {bs} photos, {size / 1e6:.1f} MB, {1000 * step:.0f} ms a step{exchange}'
        print(f'{line}, {bs * process_count() / step:.1f} photos a second', flush=True)


def two(rounds=2):
    "One process and two in turn, a thread each."
    env = os.environ | {'OMP_NUM_THREADS': '1', 'TQDM_DISABLE': '1'}
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node']
    for _ in range(rounds):
        for n in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run([*torchrun, str(n), __file__, 'worker'], env=env | {'SCALING_RUN': folder}, check=True)
    print('load of the machine at the end:', *(f'{load:.1f}' for load in os.getloadavg()))


if __name__ == '__main__':
    if sys.argv[1:] == ['worker']:
        with torchrun_processes():
            measure('cnn', 8)
            measure('R2-unet', 4)
    else:
        dict(paper=paper, two=two)[sys.argv[1]]()
