"""An archive of small photos through Ray Data: photos a second beside `colorize --jobs 2`, and memory over time.

Both are the whole command, from its start to its end. Memory is that of the command and of all processes it started,
shared pages counted in parts, once a second. The photos are crops of the sample's, gray, 128 pixels a side.

python benchmarks/archive.py [PHOTOS]          20,000 by default; writes benchmarks/archive.svg
python benchmarks/archive.py kills [PHOTOS]    a worker is killed after a quarter, the command after half of them; the
                                               same command goes on; nothing is lost, and nothing is done twice
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt

from colorlab.demo import machine_name
from colorlab.images import open_photo, sample_folder

PHOTOS, SIDE, PER_FOLDER, WORKERS = 20_000, 128, 1000, 2
PRICE = 0.04  # dollars for a core and an hour, about what large clouds ask for
root = Path(__file__).parents[1]


def make_folder(folder: Path, photos: int):
    "Gray crops of the sample's photos, no two alike, a thousand in a folder; their bytes."
    files = sorted((sample_folder() / 'scenes').glob('*.jpg'))
    images = [open_photo(file).convert('L') for file in files]
    total = 0
    for i in range(photos):
        img, n = images[i % len(images)], i // len(images)
        left, top = (n * 7) % (img.width - SIDE + 1), (n * 11) % (img.height - SIDE + 1)
        file = folder / f'{i // PER_FOLDER:03}' / f'{i:06}.jpg'
        file.parent.mkdir(parents=True, exist_ok=True)
        img.crop((left, top, left + SIDE, top + SIDE)).save(file, quality=90)
        total += file.stat().st_size
    return total


def family(pid: int) -> list:
    "A process and all that it started, in turn."
    found = [pid]
    for one in found:
        for task in Path(f'/proc/{one}/task').glob('*/children'):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def memory(pid: int) -> float:
    "MiB of a process and all that it started."
    total = 0
    for process in family(pid):
        try:
            lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith('Pss:'))
        except OSError:  # it has ended
            pass
    return total / 1024


def run(args: list) -> tuple:  # seconds, [(second, MiB)]
    "The command, watched."
    began, seen = time.time(), []
    process = subprocess.Popen([Path(sys.executable).with_name('colorlab'), *map(str, args)], stdout=subprocess.DEVNULL)

    def watch():
        while process.poll() is None:
            seen.append((time.time() - began, memory(process.pid)))
            time.sleep(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    seconds = time.time() - began
    watcher.join()
    return seconds, seen


def draw(results: dict, photos: int):
    "Memory over time, a line for each command."
    fig, ax = plt.subplots(figsize=(8, 3.6), layout='constrained')
    for name, (seconds, seen) in results.items():
        ax.plot(*zip(*seen), label=f'{name}: {photos / seconds:.1f} photos a second')
    ax.set(xlabel='seconds', ylabel='memory of all processes, MiB', ylim=(0, None))
    ax.set_title(f'{photos:,} photos of {SIDE} pixels, {WORKERS} processes')
    ax.legend(loc='lower right')
    fig.savefig(root / 'benchmarks' / 'archive.svg')


def needs(photos: int, core_seconds: float, n_bytes: float) -> str:
    "A row of the table: core hours, hours on 16 and on 1,000 cores, dollars, bytes moved, for so many photos."
    hours = photos * core_seconds / 3600
    cells = f'{photos:,}', f'{hours:,.0f}', f'{hours / 16:,.1f}', f'{hours / 1000:,.2f}'
    return f'| {" | ".join(cells)} | {hours * PRICE:,.0f} | {photos * n_bytes / 1e9:,.0f} |'


def steady_rate(table) -> float:
    "Core seconds a photo while the workers work, without what starting takes."
    done = table[table.status == 'done']
    return float(done.seconds.mean())


def start_archive(source: Path, out: Path, log: Path) -> subprocess.Popen:
    "The command, in a session of its own, so that all its processes can be killed at once."
    args = [Path(sys.executable).with_name('colorlab'), 'archive', source, '--out', out, '--workers', WORKERS]
    with open(log, 'w') as file:
        return subprocess.Popen([*map(str, args)], stdout=file, stderr=file, start_new_session=True)


def wait_for_results(process: subprocess.Popen, out: Path, n: int):
    "Until so many results are there."
    while True:
        assert process.poll() is None, 'the command ended before it was killed'
        if sum(1 for _ in out.rglob('*.jpg')) >= n:
            return
        time.sleep(2)


def kill_a_worker(process: subprocess.Popen):
    "Kill one of the processes that color."
    for pid in family(process.pid):
        if 'MapWorker' in Path(f'/proc/{pid}/cmdline').read_text():
            os.kill(pid, signal.SIGKILL)
            return
    raise AssertionError('there is no worker')


def kills(photos: int):
    "An archive that loses a worker, then its command, and is done by the same command."
    import pandas as pd

    with tempfile.TemporaryDirectory() as tmp:
        source, out = Path(tmp) / 'in', Path(tmp) / 'out'
        make_folder(source, photos)
        began = time.time()
        process = start_archive(source, out, Path(tmp) / 'log')
        wait_for_results(process, out, photos // 4)
        kill_a_worker(process)
        wait_for_results(process, out, photos // 2)
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        before = {file: file.stat().st_mtime_ns for file in out.rglob('*.jpg')}
        print(f'killed after {time.time() - began:.0f} s, with {len(before):,} of {photos:,} done', flush=True)
        seconds, seen = run(['archive', source, '--out', out, '--workers', WORKERS])
        twice = sum(file.stat().st_mtime_ns != then for file, then in before.items())
        table = pd.read_parquet(out / 'archive.parquet')
        results = sum(1 for _ in out.rglob('*.jpg'))
    print(machine_name())
    print(f'the second run: {seconds:.0f} s; {results:,} results, {table.file.nunique():,} rows, {twice} done twice')
    print(dict(table.status.value_counts()))
    for part in (0.1, 0.5, 0.9):
        print(f'memory after {part:.0%} of the time: {seen[int(part * len(seen))][1]:.0f} MiB')
    assert results == table.file.nunique() == len(table) == photos and not twice


def main():
    import pandas as pd

    if sys.argv[1:2] == ['kills']:
        return kills(int(sys.argv[2]) if len(sys.argv) > 2 else PHOTOS)
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        n_in = make_folder(tmp / 'in', photos)
        archive = ['archive', tmp / 'in', '--out', tmp / 'archive', '--workers', WORKERS]
        results = dict(archive=run(archive))
        results['colorize --jobs 2'] = run(['colorize', tmp / 'in', '--out', tmp / 'plain', '--jobs', WORKERS])
        results['archive, once more'] = run(archive)
        table = pd.read_parquet(tmp / 'archive' / 'archive.parquet')
        n_out = int(table.bytes.sum())
        same = all(
            f.read_bytes() == (tmp / 'archive' / f.relative_to(tmp / 'plain')).read_bytes()
            for f in (tmp / 'plain').rglob('*.jpg')
        )
    print(machine_name(), f'{photos} photos, {n_in / photos:.0f} bytes each, {n_out / photos:.0f} when colored')
    for name, (seconds, seen) in results.items():
        half = [mib for second, mib in seen if second > seconds / 2]
        memory = (
            f'{max(mib for _, mib in seen):.0f} MiB at most, {half[0]:.0f} in the middle, {half[-1]:.0f} at the end'
        )
        print(f'{name}: {seconds:.1f} s, {photos / seconds:.2f} photos a second; {memory}')
    print('the same bytes:', same)
    rate = steady_rate(table)
    print(f'{rate:.3f} seconds a photo in a worker')
    for n in (1_000_000, 100_000_000):
        print(needs(n, rate, (n_in + n_out) / photos))
    print(json.dumps({name: seconds for name, (seconds, _) in results.items()}))
    draw(results, photos)


if __name__ == '__main__':
    main()
