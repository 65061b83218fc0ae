"""Where the time goes: preparing a photo, a training step, and coloring a large photo, drawn as bars.

    OMP_NUM_THREADS=1 python benchmarks/where.py [PICTURE.svg]

Processor time is counted, of child processes too, for other work on the machine must not be.
"""

import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from colorlab.cache import min_decoded_side, read_pixels, resize_short_side
from colorlab.colorizer import torch_colorizer
from colorlab.images import open_photo, sample_folder
from colorlab.lab import LAB
from colorlab.photo import read_photo, write_photo
from colorlab.unet import TimmUNet


def busy():
    "Seconds that the processor has spent on this process and those it has waited for."
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def median(work, n=15):
    "Median seconds of a piece of work, after one try that does not count."
    times = []
    for _ in range(n + 1):
        began = busy()
        work()
        times.append(busy() - began)
    return float(np.median(times[1:]))


def photo(size):
    return open_photo(sample_folder() / 'scenes' / 'lw-bridge.jpg').resize(size, Image.BICUBIC)


def prepare(tmp):
    "Milliseconds for one photo of 640×480 on its way into a batch of 256 pixels."
    size, short, file = (640, 480), 287, tmp / 'a.jpg'
    photo(size).save(file, quality=90)
    data, least = file.read_bytes(), min_decoded_side(size, short)
    pixels = read_pixels(data, 'a.jpg', least)
    small = resize_short_side(pixels, size, short)

    def write():
        with open(tmp / 'cache', 'wb') as f:
            f.write(small)

    return {
        'read and check': median(lambda: hashlib.sha256(file.read_bytes()).hexdigest()),
        'decode': median(lambda: read_pixels(data, 'a.jpg', least)),
        'shrink': median(lambda: resize_short_side(pixels, size, short)),
        'write to the cache': median(write),
        'every epoch: crop and Lab': median(lambda: LAB.split(small[:256, :256].transpose(2, 0, 1))),
    }


def step():
    "Milliseconds of a step of the demo's network, 16 photos of 128 pixels, bf16."
    model = TimmUNet().to(memory_format=torch.channels_last)
    opt, x, y = torch.optim.AdamW(model.parameters()), torch.rand(16, 1, 128, 128), torch.rand(16, 2, 128, 128)
    bytes_ = torch.randint(0, 256, (16, 3, 128, 128), dtype=torch.uint8)

    def loss():
        with torch.autocast('cpu', torch.bfloat16):
            return F.l1_loss(model(x).float(), y)

    forward, both = median(loss), median(lambda: loss().backward())
    return {
        'batch': median(lambda: [LAB.split(p) for p in bytes_.numpy()]),
        'forward': forward,
        'backward': both - forward,
        'optimizer': median(opt.step),
    }


def coloring(tmp):
    "Seconds of coloring one photo of 12 megapixels from a cold start."
    photo((4000, 3000)).save(tmp / 'large.jpg', quality=95)
    start = median(
        lambda: subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', 'from colorlab.colorizer import torch_colorizer; torch_colorizer()'],
            check=True,
        ),
        3,
    )
    colorizer, large = torch_colorizer('lite'), read_photo(tmp / 'large.jpg')
    img = Image.fromarray(large.pixels)
    whole, seen = median(lambda: colorizer.color_pixels(large.pixels), 3), median(lambda: colorizer.predict_ab(img), 5)
    return {
        'start (import torch)': start,
        'decode': median(lambda: read_photo(tmp / 'large.jpg'), 3),
        'network': seen,
        'Lab, enlarging, gamut': whole - seen,
        'encode': median(lambda: write_photo(large, tmp / 'out.jpg', colorizer.provenance), 3),
    }


def draw(parts, path):
    "One bar a job, cut into its parts."
    fig, axs = plt.subplots(len(parts), figsize=(9, 6), layout='constrained')
    for ax, (title, (unit, scale, times)) in zip(axs, parts.items()):
        at = 0
        for i, (name, seconds) in enumerate(times.items()):
            ax.barh(
                0,
                scale * seconds,
                left=at,
                color=plt.cm.tab20c(4 * (i % 5)),
                label=f'{name} {scale * seconds:.3g} {unit}',
            )
            at += scale * seconds
        ax.set(yticks=[])
        ax.set_title(f'{title}: {at:.3g} {unit}', loc='left', fontsize=11)
        ax.legend(ncols=3, frameon=False, fontsize=9, loc='upper left', bbox_to_anchor=(0, -0.22))
        ax.spines[['top', 'right', 'left']].set_visible(False)
    fig.savefig(path)


def main(path='benchmarks/where.svg'):
    with tempfile.TemporaryDirectory() as tmp:
        parts = {
            'a photo of 640×480 into a batch of 256 px': ('ms', 1e3, prepare(Path(tmp))),
            'a training step of the demo': ('ms', 1e3, step()),
            'coloring 12 megapixels': ('s', 1, coloring(Path(tmp))),
        }
    for title, (unit, scale, times) in parts.items():
        print(title, {k: f'{scale * s:.3g} {unit}' for k, s in times.items()})
    draw(parts, path)


if __name__ == '__main__':
    main(*sys.argv[1:])
