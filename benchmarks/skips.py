"""What skip connections do on photos that a network has not learned from.

OMP_NUM_THREADS=1 python benchmarks/skips.py

Two small U-Nets, one with skips and one without, with equal weights (the one without has an eighth more channels),
learn from the sample's 182 training photos at 64 pixels: the same 60 batches of 12, three seeds. Both color the 28
validation photos. An edge is a tenth of a photo's pixels, where its true color changes most to the next pixels.
Error: the mean absolute error of a and b in Lab units. Share: how much of all change of the predicted color lies on
the edges; a tenth if it lay anywhere. About 40 seconds.
"""

from functools import partial

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from colorlab.cnn import conv_block
from colorlab.data import make_manifest
from colorlab.images import img_to_rgb, open_photo, sample_folder
from colorlab.lab import AB_MAX, LAB
from colorlab.learner import param_groups
from colorlab.metrics import score

SIZE, STEPS, BATCH, RATE, SEEDS = 64, 60, 12, 4e-3, (1, 2, 3)
WIDTHS = {'skips': (8, 16, 32, 64, 128), 'no skips': (9, 18, 36, 72, 144)}


class SmallUNet(nn.Module):
    "The draft of lesson `unet`."

    def __init__(self, ni, no, widths=(16, 32, 64, 128), skips=True):
        super().__init__()
        self.skips, leaky = skips, partial(nn.LeakyReLU, 0.2)
        ways_down, ways_up = zip((ni, *widths), widths), zip(widths[:0:-1], widths[-2::-1])
        self.downs = nn.ModuleList(conv_block(a, b, act=leaky) for a, b in ways_down)
        self.ups = nn.ModuleList(conv_block(a + b * skips, b) for a, b in ways_up)
        self.last = nn.Conv2d(widths[0], no, 3, padding=1)

    def forward(self, x):
        features = []
        for down in self.downs:
            x = down(F.max_pool2d(x, 2) if features else x)
            features.append(x)
        features.pop()  # the deepest is x itself
        for up in self.ups:
            x, skip = F.interpolate(x, scale_factor=2), features.pop()
            x = up(torch.cat([x, skip], 1) if self.skips else x)
        return self.last(x).tanh()


def load(files, size=SIZE):
    photos = [open_photo(sample_folder() / file).resize((size, size)) for file in files]
    return LAB.split(torch.stack([torch.tensor(img_to_rgb(photo)) for photo in photos]))


def fit(model, x, y, rates=RATE, steps=STEPS):
    "Train with one learning rate, or with a list of one for each of the model's `param_groups()`."
    opt = torch.optim.AdamW([dict(params=group) for group in param_groups(model)])
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, rates, steps)
    order = torch.Generator().manual_seed(42)
    for _ in range(steps):
        batch = torch.randperm(len(x), generator=order)[:BATCH]
        F.l1_loss(model(x[batch]), y[batch]).backward()
        opt.step()
        opt.zero_grad()
        cycle.step()
    update_bn(x.split(26), model)  # batch norm's running averages, of the network as it is now
    return model.eval()


def color_change(ab):
    "How far a and b are from those of the next pixels, in Lab units: (N, H − 1, W − 1)."
    here, below, right = ab[..., :-1, :-1], ab[..., 1:, :-1], ab[..., :-1, 1:]
    return AB_MAX * ((below - here).square() + (right - here).square()).sum(1).sqrt()


def edges(ab):
    "The tenth of each photo's pixels where its color changes most: booleans, (N, H − 1, W − 1)."
    changes = color_change(ab)
    return changes >= changes.flatten(1).quantile(0.9, dim=1)[:, None, None]


def edge_share(ab, edge):
    "How much of all change of color lies on the edges: (N,) in 0..1."
    change = color_change(ab)
    return (change * edge).sum((1, 2)) / change.sum((1, 2)).clamp(min=1e-6)


def measure(x, y, pred):
    edge = edges(y)
    error = AB_MAX * (pred - y).abs().mean(1)[:, :-1, :-1]
    psnr = score(LAB.merge(x, pred), LAB.merge(x, y)).psnr.mean()
    share = edge_share(pred, edge).mean().item()
    at_edges, elsewhere = error[edge].mean().item(), error[~edge].mean().item()
    return dict(psnr=psnr, at_edges=at_edges, elsewhere=elsewhere, share=share)


def main():
    manifest = make_manifest(sample_folder())
    train, (x, y) = load(manifest.subset('train').file), load(manifest.subset('val').file)
    mean = train[1].mean((0, 2, 3), keepdim=True).expand_as(y)
    blurred = F.interpolate(F.avg_pool2d(y, 8), scale_factor=8, mode='bilinear')
    rows = {'truth': measure(x, y, y), 'mean color': measure(x, y, mean)}
    rows['true colors at an eighth'] = measure(x, y, blurred)
    for seed in SEEDS:
        for name, widths in WIDTHS.items():
            torch.manual_seed(seed)
            model = SmallUNet(1, 2, widths, skips=name == 'skips')
            fit(model, *train)
            with torch.no_grad():
                rows[f'{name}, seed {seed}'] = measure(x, y, model(x))
            rows[f'{name}, seed {seed}']['weights'] = sum(p.numel() for p in model.parameters())
    print(pd.DataFrame(rows).T.round(3).to_string())


if __name__ == '__main__':
    main()
