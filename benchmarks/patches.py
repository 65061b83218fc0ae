"""One score for a picture, or one for every patch? Four ways to go on from the same U-Net, for lesson pix2pix.

OMP_NUM_THREADS=1 python benchmarks/patches.py          # about four minutes

Each seed: a small U-Net learns five epochs with L1 alone, at 64 pixels. From there it goes on for four with a
discriminator beside it, which scores patches of 16 or of 34 pixels or the whole picture (a DeepCNN), with λ = 10;
or for six with L1 alone. Writes colorlab/assets/patches.csv: a row a seed and way, means over the 28 validation
photos; and patches.jpg: six of them as the first seed's networks color them, a row a way, the truth below.
"""

import tempfile
from pathlib import Path
from time import process_time

import pandas as pd
import torch
from condition import COMMON, go_on_from
from course import ASSETS, write_sheet

from colorlab.lab import LAB
from colorlab.metrics import score
from colorlab.model_files import create_model
from colorlab.models import predict
from colorlab.training import train

SEEDS, SIZE, SHOWN = (1, 2, 3), 64, [0, 2, 6, 8, 10, 12]
UNET = COMMON | dict(arch='colorlab.unet:UNet', args=dict(nf=8, levels=3), size=SIZE)
PATCH = 'colorlab.pix2pix:PatchGAN'
WAYS = {
    'patches of 16': dict(disc=PATCH, args=dict(ndf=16, strides=[2, 1])),
    'patches of 34': dict(disc=PATCH, args=dict(ndf=16, strides=[2, 2, 1])),
    'whole picture': dict(disc='colorlab.gan:DeepCNN', args=dict(ndf=16, size=SIZE)),
    'L1 alone': None,
}


def colored(learn):
    "The validation photos in a network's colors, and in their own: RGB (28, 3, SIZE, SIZE) in 0..1."
    x, y = (torch.cat(part) for part in zip(*learn.dls.valid))
    with torch.no_grad():
        return LAB.merge(x, predict(learn.model.eval(), x)), LAB.merge(x, y)


def one_way(disc, folder, warm):
    callbacks = [['colorlab.adversary:Adversary', disc | dict(lr=1e-3, l1_weight=10.0)]] if disc else []
    began = process_time()
    learn = train(folder, epochs=4 if disc else 6, callbacks=callbacks, **warm)
    spent = process_time() - began
    size = sum(p.numel() for p in create_model(disc['disc'], disc['args']).parameters()) if disc else 0
    return colored(learn), dict(weights=size, seconds=round(spent, 1))


def main():
    rows, sheet = [], []
    with tempfile.TemporaryDirectory() as tmp:
        for seed in SEEDS:
            warm = go_on_from(Path(tmp) / f'start{seed}', seed, UNET)
            for name, disc in WAYS.items():
                (pred, truth), facts = one_way(disc, Path(tmp) / f'{name}{seed}', warm)
                rows.append(dict(way=name, seed=seed) | facts | score(pred, truth).mean().round(3).to_dict())
                if seed == SEEDS[0]:
                    sheet.append(pred[SHOWN])
            if seed == SEEDS[0]:
                sheet.append(truth[SHOWN])
    pd.DataFrame(rows).to_csv(ASSETS / 'patches.csv', index=False)
    write_sheet('patches', sheet, quality=92)


if __name__ == '__main__':
    main()
