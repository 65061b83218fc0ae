"""Coloring a folder in one process and in several: photos a second, memory, and whether the bytes are the same.

Each row is the whole command `colorlab colorize FOLDER --jobs N`, from its start to its end, in turn, ROUNDS times.

python benchmarks/jobs.py [PHOTOS] [ROUNDS]
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from archive import run
from PIL import Image

from colorlab.demo import machine_name
from colorlab.images import open_photo, sample_folder

SIZES = {'256 pixels': 1, '1 megapixel': 4}  # of the sample's photos, and how often these are enlarged
JOBS = 1, 2


def make_folder(folder: Path, photos: int, scale: int):
    "Gray JPEGs of the sample, enlarged."
    folder.mkdir()
    files = sorted((sample_folder() / 'scenes').glob('*.jpg'))
    for i in range(photos):
        img = open_photo(files[i % len(files)]).convert('L')
        img = img.resize((img.width * scale, img.height * scale), Image.Resampling.BICUBIC)
        img.save(folder / f'{i:04}.jpg', quality=90)


def color_folder(folder: Path, jobs: int) -> tuple[float, float]:
    "Seconds and the peak of memory, MiB, of one command."
    out = folder.with_suffix(f'.{jobs}')
    rmtree(out, ignore_errors=True)
    seconds, seen = run(['colorize', folder, '--out', out, '--jobs', jobs])
    return seconds, max(mib for _, mib in seen)


def main(photos: int = 100, rounds: int = 3):
    print(f'{machine_name()}; load {os.getloadavg()[0]:.1f}; {photos} photos, {rounds} rounds\n')
    print('| photos of | jobs | photos a second | | peak of memory, MiB |\n|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as tmp:
        for size, scale in SIZES.items():
            folder = Path(tmp) / size.replace(' ', '-')
            make_folder(folder, photos, scale)
            taken = {jobs: [] for jobs in JOBS}
            for _ in range(rounds):
                for jobs, rows in taken.items():
                    rows.append(color_folder(folder, jobs))
            one, two = (sorted(folder.with_suffix(f'.{jobs}').iterdir()) for jobs in JOBS)
            assert [f.read_bytes() for f in one] == [f.read_bytes() for f in two]
            seconds = {jobs: statistics.median(s for s, _ in rows) for jobs, rows in taken.items()}
            for jobs, rows in taken.items():
                rate = f'{photos / seconds[jobs]:.1f} | {seconds[1] / seconds[jobs]:.2f}×'
                print(f'| {size} | {jobs} | {rate} | {max(mib for _, mib in rows):.0f} |')
    print('\nThe files of one job and of two have the same bytes.')


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
