"""Does a model paint skin of all tones equally well? python benchmarks/people.py OUT MODEL PHOTOS [PHOTOS ...]

PHOTOS are folders: of each, the photos that its list calls test, else all. MODEL is a name or a file. Prints a table
for each setting, the tones that are served badly, and how brown whole photos are, true and colored; draws
OUT/people.svg. OUT keeps the faces that were found and the skin that was measured, so that a second call goes on where
the first one stopped: take another OUT for other PHOTOS.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from colorlab import Colorizer
from colorlab.backends import file_sha256, find_model
from colorlab.datasets import folder_listing
from colorlab.demo import machine_name
from colorlab.images import atomic_write, img_to_rgb, photo_files
from colorlab.oldphotos import score_without_truth
from colorlab.people import (
    badly_served,
    face_table,
    format_tones,
    measure_people,
    plot_skin,
    sepia_share,
    summarize_tones,
)

MODES = 'accurate', 'vivid'
WHOLE = 'brown', 'sepia'  # shares measured in whole photos
MOST = 400  # photos with faces
CHUNK = 20  # photos that are lost at most when it is stopped
MUCH = 0.7  # of the colored pixels: a photo with a larger share of sepia counts as sepia
# what the detector took for faces with skin in the two folders of the README, and is none: seen by eye, before coloring
NOT_FACES = """
    miniplaces/temple_east_asia_00000602_0d31f7.webp miniplaces/phone_booth_00000195_0be58b.webp
    houses/kitchen_270_kitchen_24666d.webp houses/kitchen_265_kitchen_19e8f0.webp
    dog-cat/cat_cat.1024_3ce6c2.webp dog-cat/dog_dog.39_3abf94.webp dog-cat/dog_dog.9_15a315.webp
    food101-10/beef_carpaccio_2076432_02cb8c.webp flickr8k/2983555530_a89f1f5ed7_779ef0.webp
    bsds500/test__243095.jpg caltech101/euphonium__image_0011.jpg caltech101/ewer__image_0028.jpg
    caltech101/cougar_body__image_0041.jpg jetson/dog_2.jpg
""".split()


def kept(path, make):
    "A table that is made once."
    if not path.exists():
        with atomic_write(path) as part:
            make().to_csv(part, index=False)
    return pd.read_csv(path)


def files_to_test(folder):
    "The photos that a list calls test, or all there are."
    listing = folder_listing(folder)
    if listing is None or 'split' not in listing:
        return photo_files(folder)
    return [f for f in listing.file[listing.split == 'test'] if not f.startswith('grocery/')]  # those show no people


def faces_in(folders, out):
    "The faces of at most `MOST` photos, drawn at random."
    tables = []
    for folder in folders:
        table = kept(out / f'faces-{folder.name}.csv', lambda: face_table(folder, files_to_test(folder)))
        print(f'{folder.name}: {table.file.nunique()} of {len(files_to_test(folder))} photos seem to have a face')
        table = table[~table.file.isin(NOT_FACES)]
        tables.append(table.assign(file=str(folder.resolve()) + '/' + table.file))
    faces = pd.concat(tables)
    files = faces.file.unique()
    chosen = files[np.random.default_rng(42).permutation(len(files))[:MOST]]
    return faces[faces.file.isin(chosen)]


def skin_and_sepia(colorizers, faces):
    "What `measure_people` finds, and how brown and how sepia each whole photo is."
    whole = []

    def noting(colorize):
        def colored(img):
            picture = colorize(img)
            rgb = img_to_rgb(picture)
            whole.append((score_without_truth(rgb, img_to_rgb(img)).brown, sepia_share(rgb)))
            return picture

        return colored

    rows = measure_people({name: noting(colorize) for name, colorize in colorizers.items()}, '/', faces)
    if not whole:
        return pd.DataFrame(columns=['file', 'method', *WHOLE])  # no face shows skin
    photos = rows[['file', 'method']].drop_duplicates()
    photos[list(WHOLE)] = whole
    return rows.merge(photos)


def measured(colorizers, faces, folder):
    "The same in small parts, each of which is kept."
    files, parts = faces.file.unique(), []
    for first in range(0, len(files), CHUNK):
        part = faces[faces.file.isin(files[first : first + CHUNK])]
        parts.append(kept(folder / f'skin-{first}.csv', lambda: skin_and_sepia(colorizers, part)))
    return pd.concat(parts)


def markdown(table):
    "A table for a README."
    lines = [['', *table.columns], ['---'] * (len(table.columns) + 1), *table.reset_index().to_numpy().tolist()]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def main(out, model, *folders):
    out, path = Path(out), find_model(model)
    colorizer = Colorizer.from_pretrained(model)
    colorizers = {mode: lambda img, mode=mode: colorizer(img, mode) for mode in MODES}
    folder = out / file_sha256(path)[:8]
    folder.mkdir(parents=True, exist_ok=True)
    people = measured({'truth': lambda img: img} | colorizers, faces_in(map(Path, folders), out), folder)
    print(machine_name(), colorizer, sep='\n')
    for mode in MODES:
        rows = people[people.method == mode].drop(columns=[*WHOLE])
        table = summarize_tones(rows)
        print(f'\n{mode}', markdown(format_tones(table)), *badly_served(table), sep='\n')
        print(f'{(rows.ab_error > rows.chroma).mean():.0%} of the faces come out worse than gray')
    photos = people.drop_duplicates(['file', 'method']).groupby('method', sort=False)
    above = {'mean': 'mean', f'above {MUCH:.0%}': lambda share: (share > MUCH).mean()}
    for name in WHOLE:
        print(f'\n{name}, whole photos', photos[name].agg(**above).round(2), sep='\n')
    plot_skin(people[people.method != 'truth']).savefig(out / 'people.svg')


main(*sys.argv[1:])
