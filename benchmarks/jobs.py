"""Coloring a folder in one process and in several: photos a second, memory, and whether the bytes are the same.

Each row is the whole command `colorlab colorize FOLDER --jobs N`, from its start to its end, in turn, ROUNDS times.

python benchmarks/jobs.py [PHOTOS] [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import rmtree

from PIL import Image

from colorlab.demo import machine_name
from colorlab.images import open_photo, sample_folder

SIZES = {'256 pixels': 1, '1 megapixel': 4}  # of the sample's photos, and how often these are enlarged


def make_folder(folder: Path, photos: int, scale: int):
    "Gray JPEGs of the sample, enlarged."
    files = sorted((sample_folder() / 'scenes').glob('*.jpg'))
    for i in range(photos):
        img = open_photo(files[i % len(files)]).convert('L')
        img = img.resize((img.width * scale, img.height * scale), Image.Resampling.BICUBIC)
        img.save(folder / f'{i:04}.jpg', quality=90)


def peak_memory(pid: int) -> float:
    "MiB that a process and its children hold at this moment, shared pages counted in parts."
    total = 0
    for process in [pid, *children(pid)]:
        try:
            lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith('Pss:'))
    return total / 1024


def children(pid: int) -> list[int]:
    "All processes below one."
    try:
        direct = [int(n) for n in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    except OSError:
        return []
    return direct + [n for child in direct for n in children(child)]


def color_folder(folder: Path, out: Path, jobs: int) -> tuple[float, float]:
    "Seconds and the peak of memory, MiB, of one command."
    rmtree(out, ignore_errors=True)
    program = Path(sys.executable).with_name('colorlab')
    began, peak = time.perf_counter(), 0.0
    command = [program, 'colorize', folder, '--out', out, '--jobs', str(jobs)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None:
        peak = max(peak, peak_memory(running.pid))
        time.sleep(0.1)
    if running.returncode:
        raise SystemExit(f'colorlab colorize ended with {running.returncode}')
    return time.perf_counter() - began, peak


def main(photos: int = 100, rounds: int = 3):
    print(f'{machine_name()}; load {os.getloadavg()[0]:.1f}; {photos} photos, {rounds} rounds\n')
    print('| photos of | jobs | photos a second | | peak of memory, MiB |\n|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as tmp:
        for size, scale in SIZES.items():
            folder = Path(tmp) / size.replace(' ', '-')
            folder.mkdir()
            make_folder(folder, photos, scale)
            taken = {jobs: [] for jobs in (1, 2)}
            for _ in range(rounds):
                for jobs, rows in taken.items():
                    rows.append(color_folder(folder, folder.with_suffix(f'.{jobs}'), jobs))
            one, two = (sorted(folder.with_suffix(f'.{jobs}').iterdir()) for jobs in taken)
            assert [f.read_bytes() for f in one] == [f.read_bytes() for f in two]
            alone = statistics.median(seconds for seconds, _ in taken[1])
            for jobs, rows in taken.items():
                seconds = statistics.median(seconds for seconds, _ in rows)
                peak = max(peak for _, peak in rows)
                print(f'| {size} | {jobs} | {photos / seconds:.1f} | {alone / seconds:.2f}× | {peak:.0f} |')
    print('\nThe files of one job and of two have the same bytes.')


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
