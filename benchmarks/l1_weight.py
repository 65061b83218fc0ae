"""The weight λ of the L1 loss, for lesson pix2pix: the table's pix2pix again with λ = 1 and 10.

python benchmarks/l1_weight.py FOLDER       # after course.py with this FOLDER; ten minutes on one core
Writes benchmarks/l1_weight.csv: a row a λ and test photo. benchmarks/README.md has the means.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from course import COLUMNS, METHODS, SECONDS, SEED, SIZE

from colorlab.data import make_manifest
from colorlab.lab import SPACES
from colorlab.model_files import load_model
from colorlab.presets import with_adversary
from colorlab.runs import Run
from colorlab.tournament import Budget, BudgetCallback, plan_stages, stage_settings
from colorlab.tournament_scores import predict_rgb, score_pictures, test_sets
from colorlab.training import train


def pix2pix_run(weight, out):
    "The second half of pix2pix's budget, from the same start, with another λ; 100 is the table's."
    _, stage = plan_stages([METHODS['pix2pix']], [SEED])
    if weight == 100:
        return out / 'runs' / stage.name
    folder = out / 'runs' / f'l1-weight-{weight}'
    if not (folder / '1.safetensors').exists():
        shutil.rmtree(folder, ignore_errors=True)
        settings = with_adversary(stage_settings(stage, out, 'sample', size=SIZE), l1_weight=weight)
        callback = BudgetCallback(Run(folder), Budget(SECONDS), stage.first, stage.last)
        train(folder, cbs=[callback], progress=False, checkpoint_seconds=np.inf, device='cpu', **settings)
    return folder


def main(out):
    files, truth = test_sets(make_manifest('sample'), SIZE)['test']
    runs = {f'λ = {weight}': pix2pix_run(weight, out) for weight in (1, 10, 100)}
    runs['L1 alone'] = out / 'runs' / plan_stages([METHODS['pretrained U-Net']], [SEED])[0].name
    tables = []
    for name, run in runs.items():
        model, header = load_model(run / '1.safetensors')
        colored = torch.cat([predict_rgb(model.eval(), SPACES[header['space']], part) for part in truth.split(16)])
        tables.append(score_pictures(colored, truth).assign(method=name, file=files))
    pd.concat(tables)[COLUMNS].round(3).to_csv(Path(__file__).with_suffix('.csv'), index=False)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
