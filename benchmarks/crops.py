"""Does another crop in every epoch make a network better? For lesson loaders.

python benchmarks/crops.py    # about five minutes on one core
A small network learns from the sample's 182 training photos at 32 pixels, for 120 epochs: from the whole square photos,
the same in every epoch, or from other crops in every epoch, half of them mirrored. Three seeds each.
Writes colorlab/assets/crops.csv: a row for every fourth epoch, with the L1 loss in training (the mean of the epoch's
batches) and that of the 28 validation photos.
"""

import sys

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from course import ASSETS
from torch import nn

from colorlab.data import make_manifest
from colorlab.images import sample_folder
from colorlab.loaders import photo_loaders

SIZE, EPOCHS, EVERY, LR = 32, 120, 4, 3e-3
WAYS = {'always the same': dict(margin=1, hflip=0), 'other crops': {}}


def block(ni, nf, stride=1):
    "A convolution with normalization."
    return nn.Conv2d(ni, nf, 3, stride, 1), nn.BatchNorm2d(nf), nn.ReLU()


def network(n=24):
    "Four convolutions: to a quarter of the size, and back."
    down = *block(1, n, 2), *block(n, 2 * n, 2), *block(2 * n, 2 * n)
    return nn.Sequential(*down, nn.Upsample(scale_factor=4), nn.Conv2d(2 * n, 2, 3, padding=1))


@torch.no_grad()
def validate(model, dl):
    "L1 over all validation photos."
    model.eval()
    loss = torch.cat([(model(x) - y).abs().flatten() for x, y in dl]).mean().item()
    model.train()
    return loss


def train(manifest, way, seed):
    "A row for every fourth epoch."
    dls = photo_loaders(manifest, size=SIZE, seed=seed, **WAYS[way])
    torch.manual_seed(seed)
    model, rows = network(), []
    opt = torch.optim.AdamW(model.parameters(), LR)
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for x, y in dls.train:
            loss = F.l1_loss(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if epoch % EVERY == 0:
            both = dict(train=np.mean(losses), valid=validate(model, dls.valid))
            rows.append(dict(way=way, seed=seed, epoch=epoch, **both))
    print(way, seed, rows[-1], flush=True)
    return rows


def main(seeds=(0, 1, 2), file=ASSETS / 'crops.csv'):
    "All trainings, one after the other."
    manifest = make_manifest(sample_folder())
    rows = [row for seed in seeds for way in WAYS for row in train(manifest, way, seed)]
    pd.DataFrame(rows).round(4).to_csv(file, index=False)


if __name__ == '__main__':
    torch.set_num_threads(1)
    main(*([[int(seed) for seed in sys.argv[1].split(',')], sys.argv[2]] if len(sys.argv) == 3 else []))
