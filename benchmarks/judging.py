"""Peak memory and seconds of judging many photos: python benchmarks/judging.py PHOTOS [photos] [methods|tournament].

PHOTOS is any folder of photos; where it holds fewer than are wanted, they are taken again. `methods` measures nine
methods by `evaluate` (the baselines, the truth and five that give back a part of the true color), `tournament` scores
a tournament of two systems that have hardly trained. No network compares pictures: that is what takes time, not memory.
"""

import os
import resource
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
import torch

from colorlab.compare import compare_systems
from colorlab.evaluation import evaluate
from colorlab.images import photo_files
from colorlab.lab import lab_to_rgb, rgb_to_lab
from colorlab.scoring import Method
from colorlab.tournament import Budget, one_at_a_time


class PartOfColor(Method):
    "Gives back a part of the true color."

    def __init__(self, share):
        self.name, self.share = f'{share:.0%} of the color', share

    def colorize(self, file, targ):
        lab = rgb_to_lab(targ)
        lab[1:] *= self.share
        return lab_to_rgb(lab).clip(0, 1)

    def fingerprint(self, file):
        return self.name


def linked(source, folder, n):
    "A folder of `n` links to photos, and a listing in which all but 40 are there to test with."
    folder.mkdir()
    files = [f'{i:05}{Path(f).suffix}' for i, f in enumerate(islice(cycle(photo_files(source)), n + 40))]
    for file, original in zip(files, cycle(photo_files(source))):
        os.symlink(Path(source).resolve() / original, folder / file)
    splits = ['train'] * 32 + ['val'] * 8 + ['test'] * n
    pd.DataFrame(dict(file=files, split=splits, group=files)).to_csv(folder / 'manifest.csv', index=False)
    return folder


def main(source, n='2000', part='methods'):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        data = linked(source, tmp / 'photos', int(n))
        start = time.perf_counter()
        if part == 'methods':
            shares = [PartOfColor(share) for share in (0.2, 0.4, 0.6, 0.8, 0.9)]
            result = evaluate(shares, data, tmp / 'out', size=256, perceptual=False)
            print(result.verdict(shares[2].name))
        else:
            systems = one_at_a_time(gen=['r2-autoencoder'], disc=['none'], space=['lab', 'rgb'])
            how = dict(size=256, narrow=8, bs=4, perceptual=False)
            compare_systems(str(data), tmp / 'cup', systems, Budget(8, 'photos'), [1], limit=int(n), **how)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    seconds = f'{time.perf_counter() - start:.0f} s, {time.process_time():.0f} s of the processor'
    print(f'{part}, {n} photos of 256 px, {device}: peak {peak:.2f} GB, {seconds}')


main(*sys.argv[1:])
