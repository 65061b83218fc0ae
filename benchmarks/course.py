"""The table of the course: the network of each lesson, trained alike on the sample's photos.

python benchmarks/course.py FOLDER          # about 35 minutes on one core; interrupted, it goes on
Writes colorlab/assets/course.csv (a row a method and test photo) and course.jpg (six test photos, a row a method).
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from colorlab.compare import compare_systems
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.lab import SPACES
from colorlab.model_files import load_model
from colorlab.presets import REPORT_GENERATORS, ReportGenerator
from colorlab.scoring import to_bytes
from colorlab.tournament import Budget, System, plan_stages
from colorlab.tournament_scores import baseline_scores, predict_rgb, read_scores, system_scores, test_sets

SIZE, SECONDS, SEED = 128, 300, 1
KOALA, SMALL = 'colorlab.koala:Koala', dict(nf=16, norm=True)  # a quarter of the channels, with batch normalization
REPORT_GENERATORS['small-koala'] = ReportGenerator('', KOALA, SMALL, init='colorlab.koala:lite0_classifier')
METHODS = {
    'CNN': System('cnn', 'none'),
    'Koala': System('koala', 'none'),
    'small Koala': System('small-koala', 'none'),
    'U-Net': System('unet', 'none'),
    'pretrained U-Net': System('lite0-unet', 'none'),
    'Lab GAN': System('lite0-unet', 'deep-cnn'),
    'pix2pix': System('lite0-unet', 'patch'),
}
COLUMNS = ['method', 'file', 'psnr', 'ab_rmse', 'colorfulness']
ASSETS = Path(__file__).parents[1] / 'colorlab' / 'assets'


def final_model(system, out):
    name = plan_stages([system], [SEED])[-1].name
    model, header = load_model(out / 'runs' / name / '1.safetensors')
    return model.eval(), SPACES[header['space']]


def passes(system, out):
    "How often the photos were seen: in a stage for each part of the training, with its share of the limit."
    counts = []
    for stage in plan_stages([system], [SEED]):
        marks = pd.read_csv(out / 'runs' / stage.name / 'marks.csv')
        counts.append(f'{marks.epochs[marks.mark == stage.last].item():.1f}')
    return ' + '.join(counts)


def draw_six(files):
    "The places of the six test photos that are shown."
    return [files.index(file) for file in np.random.default_rng(7).permutation(sorted(files))[:6]]


def write_results(name, tables, rows):
    "NAME.csv of tables of scores, and NAME.jpg of rows of pictures."
    pd.concat(tables)[COLUMNS].round(3).to_csv(ASSETS / f'{name}.csv', index=False)
    write_sheet(name, rows)


def write_sheet(name, rows, quality=90):
    "NAME.jpg of rows of pictures, RGB (N, 3, H, W) in 0..1."
    sheet = torch.cat([torch.cat([*row], 2) for row in rows], 1)
    pixels = to_bytes(sheet).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(ASSETS / f'{name}.jpg', quality=quality, subsampling=0)


def main(out):
    systems = [*METHODS.values()]
    compare_systems('sample', out, systems, Budget(SECONDS), [SEED], size=SIZE, perceptual=False)
    manifest = make_manifest('sample')
    sets = test_sets(manifest, SIZE)
    scores = read_scores(systems, [SEED], out)
    tables = [baseline_scores(manifest, sets)]
    tables += [system_scores(s, [SEED], scores).assign(method=name) for name, s in METHODS.items()]
    files, truth = sets['test']
    chosen = draw_six(files)
    six = truth[chosen]
    rows = [predict_rgb(*final_model(system, out), six) for system in METHODS.values()] + [six / 255]
    write_results('course', tables, rows)
    photos = len(manifest.subset('train'))
    names = ', '.join(files[i] for i in chosen)
    print(f'{machine_name()}; {photos} photos, {SIZE} px, {SECONDS} s each, seed {SEED}; six photos: {names}')
    print('passes:', ', '.join(f'{name} {passes(system, out)}' for name, system in METHODS.items()))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
