"""What ImageNet's weights and skips bring to the pretrained U-Net, for lesson unet.

OMP_NUM_THREADS=1 python benchmarks/pretrained.py FOLDER    # after course.py with this FOLDER; two minutes

1. The table's two U-Nets, trained for 300 seconds, color the validation photos at 128 pixels; the pretrained one
   also with its skips silenced. colorlab/assets/pretrained.csv: a row a way and photo; pretrained.jpg: five of the
   photos, a row a way and the truth, first with their own L and below with L = 65.
2. The lesson's short training (34 steps at 56 pixels) with five starts and rates of the encoder, three seeds each:
   colorlab/assets/encoder_rates.csv, a row a case and seed, means over the 28 validation photos.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from course import ASSETS, METHODS, SIZE, final_model
from PIL import Image
from skips import color_change, edges, load
from torch.optim.swa_utils import update_bn

from colorlab.data import make_manifest
from colorlab.lab import AB_MAX, LAB
from colorlab.metrics import score
from colorlab.models import predict
from colorlab.scoring import to_bytes
from colorlab.tournament_scores import load_truths
from colorlab.unet import TimmUNet, lite0_encoder

SHOWN = [1, 3, 5, 11, 10]
CASES = {  # whether the encoder is pretrained, and its learning rate
    'pretrained, 4e-4': (True, 4e-4),
    'pretrained, 4e-3': (True, 4e-3),
    'pretrained, frozen': (True, 0),
    'from scratch, 4e-4': (False, 4e-4),
    'from scratch, 4e-3': (False, 4e-3),
}


def fit(model, x, y, encoder_lr, lr=4e-3, steps=34, bs=12):
    "The lesson's training."
    model.to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW([dict(params=group) for group in model.param_groups()])
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, [encoder_lr, lr], steps)
    order = torch.Generator().manual_seed(42)
    for _ in range(steps):
        batch = torch.randperm(len(x), generator=order)[:bs]
        F.l1_loss(model(x[batch]), y[batch]).backward()
        opt.step()
        opt.zero_grad()
        cycle.step()
    update_bn(x.split(26), model)
    return model.eval()


def encoder_rates(manifest):
    (x, y), (val_x, val_y) = (load56(manifest, split) for split in ('train', 'val'))
    truth, rows = LAB.merge(val_x, val_y), []
    for seed in (1, 2, 3):
        for name, (pretrained, rate) in CASES.items():
            torch.manual_seed(seed)
            model = TimmUNet()
            if pretrained:
                lite0_encoder(model)
            fit(model, x, y, rate)
            with torch.no_grad():
                pred = LAB.merge(val_x, model(val_x))
            rows.append(dict(case=name, seed=seed) | score(pred, truth).mean().round(3).to_dict())
    pd.DataFrame(rows).to_csv(ASSETS / 'encoder_rates.csv', index=False)


def load56(manifest, split):
    return load(manifest.subset(split).file, 56)


def flat_skips(encoder, given, features):
    "All but the deepest features become their mean over photos and positions."
    return [*(f.mean((0, 2, 3), keepdim=True).expand_as(f) for f in features[:-1]), features[-1]]


def compare_trained(manifest, out):
    rows = manifest.subset('val')
    x, y = LAB.split(load_truths(manifest.folder, rows, SIZE))
    ab = {}
    with torch.no_grad():
        for name in ('U-Net', 'pretrained U-Net'):
            model, _ = final_model(METHODS[name], out)
            ab[name] = predict(model, x).float()
        hook = model.encoder.register_forward_hook(flat_skips)
        ab['skips silenced'] = predict(model, x).float()
        hook.remove()
    ab['truth'] = y
    truth, edge, tables = LAB.merge(x, y), edges(y), []
    for name, a in ab.items():
        change = color_change(a)
        share = ((change * edge).sum((1, 2)) / change.sum((1, 2))).numpy()
        table = score(LAB.merge(x, a), truth).assign(way=name, file=list(rows.file), at_edges=share)
        tables.append(table.assign(off=(AB_MAX * (a - y).abs().mean((1, 2, 3))).numpy()))
    table = pd.concat(tables).replace(np.inf, np.nan).round(4)
    table.to_csv(ASSETS / 'pretrained.csv', index=False)
    sheet = []
    for L in (x, 0 * x + 0.3):
        sheet += [torch.cat([*LAB.merge(L, a)[SHOWN]], 2) for a in ab.values()]
    pixels = to_bytes(torch.cat(sheet, 1)).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(ASSETS / 'pretrained.jpg', quality=88, subsampling=0)


def main(out):
    manifest = make_manifest('sample')
    compare_trained(manifest, out)
    encoder_rates(manifest)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
