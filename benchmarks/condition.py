"""Does a discriminator use the photo that it sees? Three seeds, for an exercise of lesson gan.

OMP_NUM_THREADS=1 python benchmarks/condition.py        # about three minutes

Each seed: five epochs with the pixel loss, then from there twelve more with it, or six with a DeepCNN beside it
(λ = 10), or six with a DeepCNN that is given the colors alone, or those and another photo.
A CNN of 8 channels, 64 pixels.
Writes benchmarks/condition.csv: a row a seed, way and epoch, with the scores of the 28 validation photos.
"""

import tempfile
from pathlib import Path

import pandas as pd
import torch
from fastai.callback.core import Callback

from colorlab.discriminators import DeepCNN
from colorlab.gan_losses import bce
from colorlab.images import sample_folder
from colorlab.runs import Run
from colorlab.training import train

SEEDS = 1, 2, 3
COMMON = dict(arch='colorlab.cnn:CNN', args=dict(nf=8), data=str(sample_folder()), size=64, bs=14, device='cpu')
COMMON |= dict(sample_epochs=[], progress=False, checkpoint_seconds=600)


class GANTrainer(Callback):
    "The draft of notebook adversary; its discriminator gets `own` photo, `no` photo, or `another` of the batch."

    def __init__(self, photo='own', l1_weight=10.0):
        self.photo, self.l1_weight = photo, l1_weight
        self.disc = DeepCNN(ni=2 if photo == 'no' else 3, ndf=8, size=64)

    def before_fit(self):
        self.disc.train()
        self.disc_opt = torch.optim.Adam(self.disc.parameters(), betas=(0.5, 0.999))

    def judge(self, y, label):
        x = {'own': self.x, 'no': self.x[:, :0], 'another': self.x.roll(1, 0)}[self.photo]
        return bce(self.disc(x, y), label)

    def after_loss(self):
        if not self.training:
            return
        d_loss = (self.judge(self.y, 1.0) + self.judge(self.pred.detach(), 0.0)) / 2
        self.disc_opt.param_groups[0]['lr'] = self.opt.hypers[-1]['lr']
        d_loss.backward()
        self.disc_opt.step()
        self.disc_opt.zero_grad()
        self.disc.requires_grad_(False)
        self.learn.loss_grad = self.l1_weight * self.loss_grad + self.judge(self.pred, 1.0)
        self.disc.requires_grad_(True)


def go_on_from(folder, seed, common=COMMON):
    "Train five epochs with the pixel loss in a folder; the settings of a training that goes on from there."
    train(folder, epochs=5, lr=3e-3, seed=seed, **common)
    return common | dict(warm_start=str(folder), lr=1e-3, betas=(0.5, 0.999), seed=seed)


def one_seed(seed, folder):
    "Histories of one seed: way -> a row an epoch."
    warm = go_on_from(folder / 'start', seed)
    torch.manual_seed(seed)
    ways = {'GAN': [GANTrainer()], 'GAN, no photo': [GANTrainer('no')], 'pixel loss': []}
    ways['GAN, another photo'] = [GANTrainer('another')]
    for name, cbs in ways.items():
        train(folder / name, cbs=cbs, epochs=6 if cbs else 12, **warm)
    return {name: Run(folder / name).history() for name in ('start', *ways)}


def main():
    tables = []
    with tempfile.TemporaryDirectory() as tmp:
        for seed in SEEDS:
            for way, history in one_seed(seed, Path(tmp) / str(seed)).items():
                tables.append(history[['epoch', 'psnr', 'ab_rmse', 'colorfulness']].assign(way=way, seed=seed))
    pd.concat(tables).round(3).to_csv(Path(__file__).parent / 'condition.csv', index=False)


if __name__ == '__main__':
    main()
