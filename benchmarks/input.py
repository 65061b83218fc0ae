"""From 640×480 JPEGs to batches of 256 pixels in Lab, on one core: the tutorials' recipe against colorlab's loader.

    python benchmarks/input.py [SIZE [PHOTOS [ROUNDS]]]

Processor time is counted, so that other work on the machine is not; what the operating system writes to disk
by itself is not in it. Photos in shards are read and decoded in every pass, those of a folder only in the first.
"""

import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

if hasattr(os, 'sched_setaffinity'):
    os.sched_setaffinity(0, {0})
tmp = Path(tempfile.mkdtemp())
os.environ['COLORLAB_CACHE'] = str(tmp / 'cache')
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from skimage.color import rgb2lab  # noqa: E402

from colorlab.batches import PhotoLoader  # noqa: E402
from colorlab.cache import cache_photos  # noqa: E402
from colorlab.data import scan, scan_listing  # noqa: E402
from colorlab.datasets import shard_listing  # noqa: E402
from colorlab.images import open_photo, photo_files, sample_folder  # noqa: E402
from colorlab.lab import LAB  # noqa: E402

torch.set_num_threads(1)
SIZE = int(sys.argv[1]) if len(sys.argv) > 1 else 256
BS = 16


def make_photos(n):
    "Photos of the sample, enlarged to 640×480 and saved at quality 90."
    (tmp / 'photos').mkdir()
    for i, f in enumerate(photo_files(sample_folder())[:n]):
        open_photo(sample_folder() / f).resize((640, 480), Image.BICUBIC).save(
            tmp / 'photos' / f'{i:04}.jpg', quality=90
        )


def pack_shards(n=4):
    "The same photos in tar files."
    (tmp / 'shards').mkdir()
    for k in range(n):
        with tarfile.open(tmp / 'shards' / f'photos-{k}.tar', 'w') as tar:
            for file in sorted((tmp / 'photos').iterdir())[k::n]:
                tar.add(file, file.name)
    return tmp / 'shards'


def tutorial():
    "Open and squash with Pillow, Lab with scikit-image, one photo at a time."
    for file in sorted((tmp / 'photos').iterdir()):
        img = np.asarray(Image.open(file).convert('RGB').resize((SIZE, SIZE), Image.BICUBIC))
        lab = torch.from_numpy(rgb2lab(img).astype('float32')).permute(2, 0, 1)
        yield lab[:1] / 50 - 1, lab[1:] / 110


def first_pass(folder, rows, again):
    "The loader of a cache that is not there yet, or is."
    if not again:
        shutil.rmtree(tmp / 'cache', ignore_errors=True)
    yield from PhotoLoader(cache_photos(folder, rows, round(SIZE * 1.12)), LAB, SIZE, BS, train=True)


def timed(work):
    "Photos for each second of the processor."
    began = time.process_time()
    n = sum(len(x) if x.ndim == 4 else 1 for x, _ in work)
    return n / (time.process_time() - began)


def looked_at(folder):
    "A folder that was never seen: the manifest's look at every photo comes before the first pass."
    yield from first_pass(folder, scan(folder, remember=False), False)


def main(n=200, rounds=7):
    make_photos(n)
    folder = tmp / 'photos'
    rows = scan(folder, remember=False)
    shards = pack_shards()
    packed = scan_listing(shards, shard_listing(shards))
    work = {
        "the tutorials' recipe": tutorial,
        'colorlab, first pass (decode, check, shrink, cache)': lambda: first_pass(folder, rows, False),
        'colorlab, from the cache': lambda: first_pass(folder, rows, True),
        'colorlab, from shards, every pass (read, decode, check, shrink)': lambda: first_pass(shards, packed, True),
        'colorlab, a folder never seen (looked at, then first pass)': lambda: looked_at(folder),
    }
    speeds = {name: [] for name in work}
    for _ in range(rounds):  # they take turns, for the machine's speed drifts
        for name, w in work.items():
            speeds[name].append(timed(w()))
    for name, s in speeds.items():
        times = np.divide(s, speeds["the tutorials' recipe"])
        print(
            f'{name:64} {np.median(s):7.0f} photos/s  {np.median(times):5.1f}×  ({times.min():.1f}..{times.max():.1f})'
        )


if __name__ == '__main__':
    main(*map(int, sys.argv[2:]))
