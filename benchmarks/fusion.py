"""What fusion is worth to a small Koala on 5,000 photos, for lesson koala: with a classifier's logits, and without.

python benchmarks/fusion.py LISTING PHOTOS OUT    # about half an hour on half a core; interrupted, it goes on
LISTING is a table (file, split) of the photos below PHOTOS. Three networks learn alike from 5,000 of its training
photos: with zeros in place of the logits, with those of a classifier that keeps its random weights, and of the ImageNet
classifier. Each is then judged on the sample's 276 photos, and on all of LISTING that are not for training.
Writes colorlab/assets/fusion.csv (a row a photo: the ab-RMSE of each network) and fusion.jpg (twelve photos, a row a
network).
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from course import ASSETS, SMALL, draw_six, write_sheet
from PIL import ImageOps

from colorlab.data import make_manifest
from colorlab.images import img_to_rgb, open_photo, sample_folder
from colorlab.koala import Koala, lite0_classifier
from colorlab.lab import AB_MAX, LAB
from colorlab.metrics import score

PHOTOS, SIZE, CROP, PASSES, BS, LR, SEED = 5_000, 128, 64, 10, 32, 3e-3, 1
NETWORKS = 'no fusion', 'untrained classifier', 'ImageNet classifier'
CHOSEN = (  # where fusion changes much: four hits, two misses; six others are drawn at random
    'scenes/gc-renewable-windmill.jpg',
    'scenes/gc-animal-dolphin.jpg',
    'scenes/gc-world_animals-lemur.jpg',
    'things/tp-bolsom.jpg',
    'scenes/gc-animal-calf.jpg',
    'scenes/gc-monuments-statueOfLiberty.jpg',
)


def load(folder, files):
    "Photos as bytes, (N, 3, 128, 128): the largest square of each."
    imgs = (ImageOps.fit(open_photo(folder / file), (SIZE, SIZE)) for file in files)
    return torch.stack([torch.tensor(img_to_rgb(img)).mul(255).round().byte() for img in imgs])


def to_xy(photos):
    "L and ab in −1..1."
    return LAB.split(photos / 255)


def network(name):
    "A small Koala with its classifier."
    torch.manual_seed(SEED)
    model = Koala(**SMALL)
    if name == 'ImageNet classifier':
        lite0_classifier(model)
    return model


def ask(model, name, photos):
    "What its classifier says about each photo; zeros without fusion."
    if name == 'no fusion':
        return torch.zeros(len(photos), 1000)
    return torch.cat([model.classify(to_xy(part)[0]) for part in photos.split(32)])


def random_crops(photos, rng):
    "A place of 64×64 pixels of each, half of them mirrored; the logits stay those of the whole photo."
    places = rng.integers(0, SIZE - CROP + 1, (len(photos), 2))
    crops = torch.stack([p[:, i : i + CROP, j : j + CROP] for p, (i, j) in zip(photos, places)])
    return torch.where(torch.tensor(rng.random(len(photos)) < 0.5)[:, None, None, None], crops.flip(-1), crops)


def train(model, photos, what):
    "Mean squared error, as in the report; one cycle of the learning rate."
    rng, steps = np.random.default_rng(SEED), PASSES * (len(photos) // BS)
    opt = torch.optim.AdamW(model.param_groups()[0], LR, weight_decay=1e-2)
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, LR, steps)
    model.train().to(memory_format=torch.channels_last)
    for _ in range(PASSES):
        order = torch.tensor(rng.permutation(len(photos)))
        for i, batch in enumerate(order.split(BS)[: len(photos) // BS]):
            x, y = to_xy(random_crops(photos[batch], rng))
            with torch.autocast('cpu', torch.bfloat16):
                loss = F.mse_loss(model.color(x, what[batch]), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            cycle.step()
            if i % 20 == 0:
                print(f'{loss.item():.4f}', end=' ', flush=True)
    return model.eval()


@torch.no_grad()
def paint(model, photos, what):
    "Whole photos in color, (N, 3, 128, 128)."
    parts = zip(photos.split(32), what.split(32))
    return torch.cat([LAB.merge(x := to_xy(part)[0], model.color(x, c)) for part, c in parts])


def trained(name, photos, out):
    "A network, from its file if it is there."
    model, file = network(name), out / f'{name}.pt'
    if not file.exists():
        what = ask(model, name, photos())
        torch.save(train(model, photos(), what).state_dict(), file)
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()


def colored(models, truth, others):
    "The photos as each network colors them; the last network also with the logits of other photos."
    rows = {}
    for name, model in models.items():
        what = ask(model, name, truth)
        rows[name] = paint(model, truth, what)
    rows['logits of another photo'] = paint(model, truth, what[others])
    return rows


def mean_colors(rgb):
    "The mean a and b of each picture, in Lab units: (N, 2)."
    return AB_MAX * torch.cat([LAB.split(part)[1].mean((2, 3)) for part in rgb.split(200)])


def errors(rows, truth, photos, numbers):
    "The ab-RMSE of each network, a row a photo. Pictures that were cut from one photo have the same number."
    means, table = {}, pd.DataFrame(dict(photos=photos, photo=numbers))
    y = mean_colors(truth / 255)
    for name, pred in rows.items():
        parts = [score(p, t / 255) for p, t in zip(pred.split(200), truth.split(200))]
        scores = pd.concat(parts, ignore_index=True)
        table[name] = scores.ab_rmse.round(2)
        means[photos, name] = scores[['psnr', 'ab_rmse', 'colorfulness']].mean()
        missed = (mean_colors(pred) - y).square().sum() / (y - y.mean(0)).square().sum()
        means[photos, name]['mean color explained'] = 1 - missed.item()
    print(pd.DataFrame(means).T.round(2).to_string())
    return table


def explained(c, y, fitted=2000, penalty=3000):
    "A linear probe from logits to mean colors: the share of the variance that it explains on the photos not fitted."
    mean, std, middle = c[:fitted].mean(0), c[:fitted].std(0), y[:fitted].mean(0)
    c, y = (c - mean) / std, y - middle
    known = c[:fitted]
    weights = torch.linalg.solve(known.T @ known + penalty * torch.eye(c.shape[1]), known.T @ y[:fitted])
    return 1 - ((c[fitted:] @ weights - y[fitted:]) ** 2).sum() / (y[fitted:] ** 2).sum()


def main(listing, folder, out):
    torch.set_num_threads(1)
    table = pd.read_csv(listing)
    files = table[table.split == 'train'].file.sample(PHOTOS, random_state=SEED)
    photos = cache(lambda: load(folder, files))
    models = {name: trained(name, photos, out) for name in NETWORKS}
    own = make_manifest(sample_folder()).table
    truth = load(sample_folder(), own.file)
    files, tested = own.file.tolist(), own.file[own.split == 'test'].tolist()
    sixes = [[files.index(file) for file in six] for six in (CHOSEN, [tested[i] for i in draw_six(tested)])]
    others = torch.arange(len(truth)).roll(1)
    for six in sixes:  # in the pictures: of the photo to the left
        others[six] = torch.tensor(np.roll(six, 1))
    rows = colored(models, truth, others)
    shown = sum(sixes, [])
    write_sheet('fusion', [pred[shown] for pred in rows.values()] + [truth[shown] / 255])
    tables = [errors(rows, truth, 'sample', pd.factorize(own.group)[0])]
    truth = load(folder, table[table.split != 'train'].file.sample(frac=1, random_state=SEED))
    others = torch.arange(len(truth)).roll(1)  # at random: they are shuffled
    tables.append(errors(colored(models, truth, others), truth, 'others', range(len(truth))))
    y = mean_colors(truth / 255)
    for name in NETWORKS[1:]:
        print(f'{name}: logits explain {explained(ask(models[name], name, truth), y):.2f} of the mean colors')
    pd.concat(tables).to_csv(ASSETS / 'fusion.csv', index=False)


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:]))
