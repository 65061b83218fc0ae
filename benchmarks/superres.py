"""The models that enlarge: how those that come along were trained, and how much better than bicubic they are.

python benchmarks/superres.py train 2 PHOTOS RUN [NOISE [EPOCHS]]
python benchmarks/superres.py score PHOTOS MODEL...
"""

import io
import sys

import numpy as np
import pandas as pd
import torch
from PIL import Image

from colorlab.data import make_manifest
from colorlab.datasets import find_dataset
from colorlab.demo import machine_name
from colorlab.images import img_to_rgb, open_photo
from colorlab.lab import L_MID, SPACES, rgb_to_lab
from colorlab.metrics import upsample_bicubic
from colorlab.model_files import load_model
from colorlab.runs import Run
from colorlab.summary import paired_interval
from colorlab.training import train


def learn(times, photos, out, noise=0.04, epochs=20):
    "Crops of 48×48 small pixels, out of photos at their size; printed: the last epoch, bicubic, the seconds."
    size = 48 * times
    train(
        out,
        arch='colorlab.superres:SuperRes',
        args=dict(times=times, noise=noise),
        space=f'sr{times}',
        data=photos,
        size=size,
        margin=256 / size,
        bs=16,
        epochs=epochs,
        lr=2e-3,
        precision='bf16',
        channels_last=True,
        seed=42,
        device='cpu',
    )
    last = Run(out).history().iloc[-1]
    print(
        f'{machine_name()}, {torch.get_num_threads()} threads: PSNR {last.psnr:.2f} dB, '
        f'bicubic {Run(out).baselines().psnr["bicubic"]:.2f}, {last.seconds:.0f} s'
    )


def L_of(img):
    return torch.from_numpy(rgb_to_lab(img_to_rgb(img))[None, :1]) / L_MID - 1


def as_gray(x):
    return Image.fromarray((SPACES['sr2'].merge(x, x)[0, 0].numpy() * 255).round().astype(np.uint8))


def as_jpeg(x, quality=75):
    box = io.BytesIO()
    as_gray(x).save(box, 'JPEG', quality=quality)
    return L_of(Image.open(box))


def shrunk_by(how, img, times):
    w, h = (s // times for s in img.size)
    return L_of(img.crop((0, 0, w * times, h * times)).resize((w, h), how))


def noisy(x, strength):
    return x + strength / L_MID * torch.randn(x.shape, generator=torch.Generator().manual_seed(42))


DAMAGES = {  # how a small picture came to be: from the photo, and from the mean of its blocks
    'mean of blocks': lambda img, x, times: x,
    "Pillow's bicubic": lambda img, x, times: shrunk_by(Image.BICUBIC, img, times),
    "Pillow's Lanczos": lambda img, x, times: shrunk_by(Image.LANCZOS, img, times),
    'mean, 1 unit of noise': lambda img, x, times: noisy(x, 1),
    'mean, 2 units of noise': lambda img, x, times: noisy(x, 2),
    'mean, JPEG of quality 75': lambda img, x, times: as_jpeg(x),
}


def psnr(pred, targ):
    "Of L, peak 100."
    return float(10 * torch.log10(4 / (pred.clip(-1, 1) - targ).square().mean()))  # L runs over 2 here


def score(photos, names):
    "PSNR of L on the test photos at their full size, bicubic, and the paired difference with its interval."
    from colorlab.backends import find_model

    rows = make_manifest(photos).subset('test')
    folder = find_dataset(photos)[0]
    for name in names:
        model, header = load_model(find_model(name))
        space, table = SPACES[header['space']], []
        for f in rows.file:
            img = open_photo(folder / f)
            x, y = (torch.from_numpy(a) for a in space.split(img_to_rgb(img)[None]))
            for how, damaged in DAMAGES.items():
                seen = damaged(img, x, space.scale)
                with torch.inference_mode():
                    table.append((how, psnr(model(seen), y), psnr(upsample_bicubic(seen, space.scale), y)))
        print(f'{name}, {space.scale} times, {len(rows)} photos')
        for how, t in pd.DataFrame(table, columns=['how', 'ours', 'bicubic']).groupby('how', sort=False):
            gain, low, high = paired_interval(t.ours, t.bicubic, rows.group)
            print(
                f'  {how:26} {t.ours.mean():.2f} dB, bicubic {t.bicubic.mean():.2f}: {gain:+.2f} '
                f'({low:+.2f}..{high:+.2f}), better on {(t.ours > t.bicubic).mean():.0%}'
            )


if __name__ == '__main__':
    what, *args = sys.argv[1:]
    if what == 'train':
        learn(int(args[0]), args[1], args[2], *map(float, args[3:4]), *map(int, args[4:5]))
    else:
        score(args[0], args[1:])
