"""What ImageNet's weights and skips bring to the pretrained U-Net, for lesson unet.

OMP_NUM_THREADS=1 python benchmarks/pretrained.py FOLDER    # after course.py with this FOLDER; two minutes

1. The table's two U-Nets, trained for 300 seconds, color the validation photos at 128 pixels; the pretrained one
   also with its skips silenced. colorlab/assets/pretrained.csv: a row a way and photo, the true colors at half size
   among the ways; pretrained.jpg: five of the photos, a row a way and the truth, first with their own L and below
   with L = 65.
2. The lesson's short training (34 steps at 56 pixels) with five starts and rates of the encoder, three seeds each:
   printed, a row a case and seed, means over the 28 validation photos.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from course import ASSETS, METHODS, SIZE, final_model, write_sheet
from skips import RATE, edge_share, edges, fit, load

from colorlab.data import make_manifest
from colorlab.lab import LAB
from colorlab.metrics import score
from colorlab.models import predict
from colorlab.tournament_scores import load_truths
from colorlab.unet import TimmUNet, lite0_encoder

SHOWN, STEPS = [1, 3, 5, 11, 10], 34
CASES = {  # whether the encoder is pretrained, and its learning rate
    'pretrained, 4e-4': (True, 4e-4),
    'pretrained, 4e-3': (True, 4e-3),
    'pretrained, frozen': (True, 0),
    'from scratch, 4e-4': (False, 4e-4),
    'from scratch, 4e-3': (False, 4e-3),
}


def encoder_rates(manifest):
    (x, y), (val_x, val_y) = (load(manifest.subset(split).file, 56) for split in ('train', 'val'))
    truth, rows = LAB.merge(val_x, val_y), []
    for seed in (1, 2, 3):
        for name, (pretrained, rate) in CASES.items():
            torch.manual_seed(seed)
            model = TimmUNet()
            if pretrained:
                lite0_encoder(model)
            fit(model.to(memory_format=torch.channels_last), x, y, [rate, RATE], STEPS)
            with torch.no_grad():
                pred = LAB.merge(val_x, model(val_x))
            rows.append(dict(case=name, seed=seed) | score(pred, truth).mean().round(3).to_dict())
    print(pd.DataFrame(rows).to_string(index=False))


def flat_skips(encoder, given, features):
    "All but the deepest features become their mean over photos and positions."
    return [*(f.mean((0, 2, 3), keepdim=True).expand_as(f) for f in features[:-1]), features[-1]]


def half_size(ab):
    "Colors as `TimmUNet` could predict them at best: at half the size, enlarged."
    return F.interpolate(F.avg_pool2d(ab, 2), scale_factor=2, mode='bilinear')


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
    sheet = [LAB.merge(L, a)[SHOWN] for L in (x, 0 * x + 0.3) for a in ab.values()]
    write_sheet('pretrained', sheet, quality=88)
    ab['truth at half size'] = half_size(y)
    truth, edge, tables = LAB.merge(x, y), edges(y), []
    for name, a in ab.items():
        table = score(LAB.merge(x, a), truth).assign(way=name, file=list(rows.file))
        tables.append(table.assign(at_edges=edge_share(a, edge).numpy()))
    table = pd.concat(tables).replace(np.inf, np.nan).round(4)
    table.to_csv(ASSETS / 'pretrained.csv', index=False)


def main(out):
    manifest = make_manifest('sample')
    compare_trained(manifest, out)
    encoder_rates(manifest)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
