"""What an adversary changes in the colors: three seeds of lesson gan's comparison.

OMP_NUM_THREADS=1 python benchmarks/adversary.py        # about two minutes

A small CNN learns five epochs with L1 alone. From there it goes on for eight epochs with a discriminator beside it
(λ = 10), or for twelve with L1 alone; then the colors of the second are made as strong as those of the first by one
factor ("factor"). Networks, rates and 64 pixels are the lesson's.
Writes colorlab/assets/adversary.csv: a row a seed, way and epoch, measured on the 28 validation photos: scores, the
spread of a, the correlations of a and of b with the truth ("place"), and how much of the true colors' distribution is
covered ("overlap").
"""

import copy

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from course import ASSETS
from torch import nn

from colorlab.cnn import CNN
from colorlab.data import make_manifest
from colorlab.gan_losses import bce
from colorlab.images import sample_folder
from colorlab.lab import AB_MAX, LAB
from colorlab.loaders import photo_loaders
from colorlab.metrics import score
from colorlab.models import predict

SEEDS = 1, 2, 3


def halve(ni, nf):
    return nn.Conv2d(ni, nf, 4, 2, 1), nn.BatchNorm2d(nf), nn.LeakyReLU(0.2)


def new_disc():
    "The discriminator of the lesson, for 64 pixels."
    return nn.Sequential(*halve(3, 16), *halve(16, 32), *halve(32, 64), nn.Flatten(), nn.Linear(64 * 8 * 8, 1))


def adam(net):
    return torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.999))


def colors_of(gen, x):
    with torch.no_grad():
        return predict(gen.eval(), x)


def measure(x, y, truth):
    "Scores of predicted colors y, and what the lesson measures beside them, in Lab units."
    scores = score(LAB.merge(x, y), LAB.merge(x, truth)).mean().to_dict()
    both = torch.stack([y, truth]).transpose(1, 2).flatten(2)  # (2, 2, pixels): predicted and true, a and b
    places = {f'correlation_{name}': torch.corrcoef(both[:, i])[0, 1].item() for i, name in enumerate('ab')}
    return scores | dict(spread_a=AB_MAX * y[:, 0].std().item(), overlap=overlap(y, truth)) | places


def overlap(y, truth):
    "The common part of two histograms of all pixels in the plane of a and b, in squares of 5 Lab units."
    edges = np.arange(-110, 111, 5)
    a, b = (
        np.histogram2d(*(AB_MAX * c.transpose(0, 1).flatten(1)).numpy(), bins=(edges, edges))[0] for c in (y, truth)
    )
    return float(np.minimum(a, b).sum() / b.sum())


def pixel_loss_first(dls):
    "Five epochs with L1 alone."
    gen = CNN(nf=8)
    opt = torch.optim.Adam(gen.parameters())
    for epoch in range(5):
        opt.param_groups[0]['lr'] = 3e-3 if epoch < 3 else 5e-4
        for x, y in dls.train:
            opt.zero_grad()
            F.l1_loss(gen(x), y).backward()
            opt.step()
    return gen


def go_on(start, dls, valid, epochs, disc=None):
    "From the start, with a discriminator or without; the generator, and what was measured after each epoch."
    gen, rows = copy.deepcopy(start), []
    opts = [adam(net) for net in (gen, disc) if net]
    for epoch in range(epochs):
        gen.train()
        for opt in opts:
            opt.param_groups[0]['lr'] = 1e-3 * (1 - epoch / epochs)
        for x, y in dls.train:
            fake = gen(x)
            loss = 10 * F.l1_loss(fake, y)
            if disc:
                opts[1].zero_grad()
                real_score, fake_score = (disc(torch.cat([x, colors], 1)) for colors in (y, fake.detach()))
                (bce(real_score, 1.0) + bce(fake_score, 0.0)).backward()
                opts[1].step()
                loss = loss + bce(disc(torch.cat([x, fake], 1)), 1.0)
            opts[0].zero_grad()
            loss.backward()
            opts[0].step()
        rows.append(measure(valid[0], colors_of(gen, valid[0]), valid[1]) | dict(epoch=epoch + 1))
    return gen, rows


def as_colorful(x, y, truth, wanted):
    "The smallest factor, in steps of 0.05, with which y is as colorful as wanted."
    factor = 1.0
    while measure(x, factor * y, truth)['colorfulness'] < wanted:
        factor += 0.05
    return factor


def one_seed(seed):
    "Rows of one seed."
    dls = photo_loaders(make_manifest(sample_folder()), size=64, bs=14)
    x, y = (torch.cat(part) for part in zip(*dls.valid))
    torch.manual_seed(seed)
    start = pixel_loss_first(dls)
    rows = [measure(x, colors_of(start, x), y) | dict(way='start', epoch=5)]
    torch.manual_seed(seed)
    _, with_disc = go_on(start, dls, (x, y), 8, new_disc())
    rows += [row | dict(way='GAN') for row in with_disc]
    control, alone = go_on(start, dls, (x, y), 12)
    rows += [row | dict(way='pixel loss') for row in alone]
    colors = colors_of(control, x)
    factor = as_colorful(x, colors, y, with_disc[-1]['colorfulness'])
    rows.append(measure(x, factor * colors, y) | dict(way='factor', epoch=12, factor=factor))
    return [row | dict(seed=seed) for row in rows]


def main():
    table = pd.DataFrame([row for seed in SEEDS for row in one_seed(seed)])
    table.round(3).to_csv(ASSETS / 'adversary.csv', index=False)
    print(table.groupby(['way', 'seed']).last().round(2).to_string())


if __name__ == '__main__':
    main()
