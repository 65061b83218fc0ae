"""The shipped model, measured; and pictures of test photos drawn at random, the best and the worst of them included.

python benchmarks/lite.py [PHOTOS [OUT]]        accurate and vivid on the test photos, with baselines and intervals;
                                                OUT/report.html, OUT/lite.jpg
python benchmarks/lite.py size [PHOTOS]         does the result depend on the size of the photo?
python benchmarks/lite.py views [PHOTOS]        what are views worth that differ in contrast?
python benchmarks/lite.py old [OUT.jpg]         the twelve old photographs that are carried, before and after
"""

import random
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorlab import Colorizer, evaluate
from colorlab.augment import AGING_MIXES, AGING_STEPS, fade
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.images import img_to_rgb, old_photos_folder, open_photo, picture_grid, rgb_to_img, show_strip
from colorlab.inputs import TTAView
from colorlab.lab import AB_MAX, LAB, rgb_to_lab
from colorlab.loaders import photo_loaders
from colorlab.metrics import ab_rmse
from colorlab.oldphotos import old_photos
from colorlab.protocol import choose_photos
from colorlab.scoring import model_methods

MODES = 'accurate', 'vivid'
SIDE = 128  # pixels of a picture in the grid, and of those that are compared


def sample_files(files, n=20):
    "Photos drawn before anybody looked."
    return [files[i] for i in np.random.default_rng(42).permutation(len(files))[:n]]


def to_tensor(img):
    return torch.from_numpy(img_to_rgb(img))


def picture(colorizer, folder, files):
    "Gray, vivid and truth, ten photos a row, the one with the smallest error first and the largest last."
    triples = []
    for f in files:
        truth = open_photo(folder / f).resize((SIDE * 2, SIDE * 2), Image.LANCZOS)
        triples.append([to_tensor(img) for img in (truth.convert('L'), colorizer(truth), truth)])
    triples.sort(key=lambda t: ab_rmse(t[1][None], t[2][None]).item())
    rows = [[t[kind] for t in part] for part in (triples[:10], triples[10:]) for kind in range(3)]
    small = [[rgb_to_img(rgb).resize((SIDE, SIDE), Image.LANCZOS) for rgb in row] for row in rows]
    return picture_grid(*small, padding=3)


def measure(photos='sample', out='lite'):
    "A table, a page and a picture."
    colorizer = Colorizer.from_pretrained('lite')
    methods = [m for mode in MODES for m in model_methods(f'lite, {mode}', colorizer, mode)]
    print(machine_name())
    print(evaluate(methods, photos, out))
    manifest = make_manifest(photos)
    files = sample_files(list(choose_photos(manifest).file))
    picture(colorizer, manifest.folder, files).save(Path(out) / 'lite.jpg', quality=88)


def small_ab(colorizer, img, mode):
    "The colors of a result, units of Lab."
    return rgb_to_lab(img_to_rgb(colorizer(img, mode).resize((SIDE, SIDE), Image.LANCZOS)))[1:]


def size(photos='sample'):
    "The same photos at half, at twice and at four times their size: how far are the colors from those at their own?"
    colorizer, manifest = Colorizer.from_pretrained('lite'), make_manifest(photos)
    for mode in MODES:
        for times in (0.5, 2, 4):
            off = []
            for f in choose_photos(manifest).file:
                img = open_photo(manifest.folder / f)
                other = img.resize([round(s * times) for s in img.size], Image.LANCZOS)
                difference = small_ab(colorizer, img, mode) - small_ab(colorizer, other, mode)
                off.append(np.sqrt(np.square(difference).mean()))
            print(f'{mode}, {times:g} times the size: {np.mean(off):.2f} units of Lab apart on average', end='')
            print(f', {np.max(off):.2f} on the worst photo')


def states(x, y):
    "A photo as it is, faded, and aged in five ways."
    aged = x
    for name in AGING_MIXES['film']:
        aged = AGING_STEPS[name](aged, y)
    return {'clean': x, 'faded': fade(x), 'aged': aged}


def views(photos='sample'):
    "The error of the direct answer on every fourth validation photo; with views of one contrast, and as shipped."
    shipped = Colorizer.from_pretrained('lite')
    plain = [TTAView(v.times, v.mirror) for v in shipped.tta_views]
    colorizers = {'one contrast': replace(shipped, tta_views=plain), 'as shipped': shipped}
    torch.manual_seed(0)
    random.seed(0)
    errors = {}
    batches = photo_loaders(make_manifest(photos), size=shipped.size, bs=1).valid
    for x, y in islice(batches, 0, None, 4):
        for state, L in states(x, y).items():
            gray = rgb_to_img(LAB.merge(L, 0 * y)[0])
            for name, colorizer in colorizers.items():
                difference = colorizer.predict_tta(gray)[0][0] - y[0].numpy()
                error = AB_MAX * np.sqrt(np.square(difference).mean())
                errors.setdefault((name, state), []).append(error)
    for (name, state), found in errors.items():
        print(f'{name}, {state}: ab-RMSE {np.mean(found):.2f} over {len(found)} photos')


def old(out='old.jpg'):
    "All old photographs in three pairs of rows: as they were found, and vivid; the narrow ones at the left."
    photos = [open_photo(old_photos_folder() / file) for file in old_photos().file]
    photos.sort(key=lambda photo: photo.width / photo.height)
    colored = [*map(Colorizer.from_pretrained('lite'), photos)]
    rows = [some[first::3] for first in range(3) for some in (photos, colored)]
    show_strip(*rows).savefig(out, pil_kwargs=dict(quality=88))


if __name__ == '__main__':
    commands = dict(size=size, views=views, old=old)
    command, *args = sys.argv[1:] or ['sample']
    if command in commands:
        commands[command](*args)
    else:
        measure(command, *args)
