"""The shipped model, judged; and pictures of test photos drawn by lot, the best and the worst of them included.

python benchmarks/lite.py [PHOTOS [OUT]]        accurate and vivid on the test photos, with floors and intervals; OUT/report.html, OUT/lite.jpg
python benchmarks/lite.py size [PHOTOS]         does the result depend on the size of the photo?
python benchmarks/lite.py looks [PHOTOS]        what are looks worth that differ in contrast?
"""

import random
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.utils import make_grid

from colorlab import Colorizer
from colorlab.augment import AGING_STEPS, fade
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.evaluation import evaluate, test_rows
from colorlab.images import img_to_rgb, open_photo, rgb_to_img
from colorlab.lab import AB_MAX, LAB, rgb_to_lab
from colorlab.loaders import photo_loaders
from colorlab.metrics import ab_rmse
from colorlab.scoring import model_methods

WAYS = 'accurate', 'vivid'


def lot(files, n=20):
    "Photos drawn before anybody looked."
    return [files[i] for i in np.random.default_rng(42).permutation(len(files))[:n]]


def picture(colorizer, folder, files, height=128):
    "Gray, vivid and truth, ten photos a row, the one with the smallest error first and the largest last."
    rgb = lambda img: torch.from_numpy(img_to_rgb(img))
    made = [
        (rgb(p.convert('L').convert('RGB')), rgb(colorizer.colorize(p)), rgb(p))
        for p in (open_photo(folder / f).resize((height * 2,) * 2, Image.LANCZOS) for f in files)
    ]
    made.sort(key=lambda m: ab_rmse(m[1][None], m[2][None]).item())
    rows = [m[kind] for part in (made[:10], made[10:]) for kind in range(3) for m in part]
    small = [rgb(rgb_to_img(r).resize((height, height), Image.LANCZOS)) for r in rows]
    return rgb_to_img(make_grid(small, nrow=10, padding=3, pad_value=1.0))


def judge(photos='sample', out='lite'):
    "A table, a page and a picture."
    colorizer = Colorizer.from_pretrained()
    makers = [lambda *a, how=how: model_methods(f'lite, {how}', colorizer, how) for how in WAYS]
    table, notes = evaluate(makers, photos, out)
    print(machine_name(), *notes, table.T.to_string(), sep='\n')
    manifest = make_manifest(photos)
    picture(colorizer, manifest.folder, lot(list(test_rows(manifest).file))).save(Path(out) / 'lite.jpg', quality=88)


def size(photos='sample'):
    "The same photos at half, at twice and at four times their size: how far are the colors from those at their own?"
    colorizer, manifest = Colorizer.from_pretrained(), make_manifest(photos)
    for how in WAYS:
        for times in (0.5, 2, 4):
            off = []
            for f in test_rows(manifest).file:
                img = open_photo(manifest.folder / f)
                other = img.resize([round(s * times) for s in img.size], Image.LANCZOS)
                a, b = (
                    rgb_to_lab(img_to_rgb(colorizer.colorize(i, how).resize((128, 128), Image.LANCZOS)))[1:]
                    for i in (img, other)
                )
                off.append(np.sqrt(np.square(a - b).mean()))
            print(
                f'{how}, {times:g} times the size: {np.mean(off):.2f} units of Lab apart on average, {np.max(off):.2f} on the worst photo'
            )


def looks(photos='sample'):
    "The error of the direct answer on every fourth validation photo as it is, faded, and aged in every way; with looks of one contrast, and with the shipped ones."
    colorizer = Colorizer.from_pretrained()
    ways = {
        'one contrast': replace(
            colorizer, tta_views=[(times, mirror, 0.0) for times, mirror, _ in colorizer.tta_views]
        ),
        'as shipped': colorizer,
    }
    torch.manual_seed(0)
    random.seed(0)
    off = {}
    for x, y in islice(photo_loaders(make_manifest(photos), LAB, colorizer.size, bs=1).valid, 0, None, 4):
        aged = x
        for age in AGING_STEPS:
            aged = age(aged, y)
        for state, L in {'clean': x, 'faded': fade(x), 'aged': aged}.items():
            gray = rgb_to_img(LAB.merge(L, 0 * y)[0])
            for way, c in ways.items():
                off.setdefault((way, state), []).append(
                    AB_MAX * np.sqrt(np.square(c.predict_tta(gray)[0][0] - y[0].numpy()).mean())
                )
    for (way, state), errors in off.items():
        print(f'{way}, {state}: ab-RMSE {np.mean(errors):.2f} over {len(errors)} photos')


if __name__ == '__main__':
    commands = dict(size=size, tta_views=looks)
    commands[sys.argv[1]](*sys.argv[2:]) if sys.argv[1:2] and sys.argv[1] in commands else judge(*sys.argv[1:])
