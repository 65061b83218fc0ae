"""The doctor on folders of 10,000, 30,000 and 100,000 generated photos: time and memory, and a SIGKILL half-way.

    python benchmarks/doctor.py [PHOTOS ...]
    python benchmarks/doctor.py pairs [PHOTOS ...]

`pairs` makes thumbnails only, in the same manner, and times what finds near copies among them.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from colorlab.cache import map_threads

CHILD = """
import resource, sys, time
from colorlab.doctor import diagnose
began = time.perf_counter()
d = diagnose(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(len(d.table), len(d.pairs), time.perf_counter() - began, time.process_time(), peak)
"""


def make_photos(folder, first, n):
    "Four crops of the sample side by side, at random places and sizes; one picture in a hundred is saved twice."
    import numpy as np
    from PIL import Image

    from colorlab.images import open_photo, photo_files, sample_folder

    sources = [open_photo(sample_folder() / f) for f in photo_files(sample_folder())]

    def make(i):
        rng = np.random.default_rng(i - (i % 100 == 1))  # 1 shows what 0 shows, 101 what 100 shows, …
        photo, path = Image.new('RGB', (128, 128)), folder / f'{i // 1000:03}' / f'{i:06}.jpg'
        for corner in ((0, 0), (64, 0), (0, 64), (64, 64)):
            source, side = sources[rng.integers(len(sources))], rng.uniform(40, 200)
            x, y = rng.uniform(0, 256 - side, 2)
            photo.paste(source.resize((64, 64), Image.BICUBIC, box=(x, y, x + side, y + side)), corner)
        path.parent.mkdir(exist_ok=True)
        photo.save(path, quality=75 if i % 100 == 1 else 88)

    for _ in map_threads(make, range(first, n), 'making photos'):
        pass


def make_thumbs(n):
    "Gray collages of 32×32 like those of `make_photos`; one in a hundred is another with a little noise."
    import numpy as np
    from PIL import Image

    from colorlab.images import open_photo, photo_files, sample_folder

    photos = (open_photo(sample_folder() / f) for f in photo_files(sample_folder()))
    sources = [photo.convert('L').resize((128, 128), Image.BOX) for photo in photos]
    thumbs = []
    for i in range(n):
        rng = np.random.default_rng(i - (i % 100 == 1))
        thumb = Image.new('L', (32, 32))
        for corner in ((0, 0), (16, 0), (0, 16), (16, 16)):
            source, side = sources[rng.integers(len(sources))], rng.uniform(40, 200) / 2
            x, y = rng.uniform(0, 128 - side, 2)
            thumb.paste(source.resize((16, 16), Image.BOX, box=(x, y, x + side, y + side)), corner)
        noise = np.random.default_rng(i).integers(-1, 2, (32, 32)) if i % 100 == 1 else 0
        thumbs.append((np.asarray(thumb) + noise).clip(0, 255).astype(np.uint8))
    return np.stack(thumbs)


def time_pairs(n):
    "Processor seconds and memory of `near_pairs` alone, over a table that holds nothing but thumbnails."
    from colorlab.doctor import RECORD_COLUMNS, PhotoRecords, near_pairs
    from colorlab.duplicates import dct_signature

    with tempfile.TemporaryDirectory() as tmp:
        records = PhotoRecords(tmp)
        records.path = Path(tmp) / 'records.sqlite'
        known = dict.fromkeys(RECORD_COLUMNS, 0)
        rows = []
        for i, thumb in enumerate(make_thumbs(n)):
            signature = dct_signature(thumb).tobytes()
            about = dict(file=f'{i:06}', sha256=f'{i:064}', thumb=thumb.tobytes(), signature=signature)
            rows.append((1, 1, *(known | about).values(), 0))
        records.query(f'insert into photos values ({",".join("?" * len(rows[0]))})', rows)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        pairs = near_pairs(records)
        busy, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = f'peak {after / 1024:.0f} MiB ({before / 1024:.0f} before)'
    speed = f'{busy:5.1f} s of processor, {busy / n * 1e3:.2f} ms each'
    print(f'{n:7} thumbnails: {speed}, {peak}, {len(pairs)} pairs', flush=True)


def start(folder, env):
    return subprocess.Popen([sys.executable, '-c', CHILD, str(folder)], env=env, stdout=subprocess.PIPE, text=True)


def main(*counts):
    with tempfile.TemporaryDirectory() as tmp:
        folder, made = Path(tmp) / 'photos', 0
        folder.mkdir()
        for n in counts or (10_000, 30_000, 100_000):
            make_photos(folder, made, n)
            made = n
            env = os.environ | dict(COLORLAB_CACHE=f'{tmp}/cache-{n}', TQDM_DISABLE='1', PYTHONWARNINGS='ignore')
            child = start(folder, env)
            whole, pairs, seconds, busy, peak = map(float, child.communicate()[0].split())
            child = start(folder, env)
            second, second_busy = map(float, child.communicate()[0].split()[2:4])
            env['COLORLAB_CACHE'] = f'{tmp}/killed-{n}'
            child = start(folder, env)
            time.sleep(4 + seconds / 2)
            child.send_signal(signal.SIGKILL)
            child.wait()
            rest = float(start(folder, env).communicate()[0].split()[2])
            first = f'{seconds:6.1f} s ({busy:.1f} s of processor), peak {peak:5.0f} MiB, {pairs:.0f} pairs'
            again = f'again {second:5.1f} s ({second_busy:.1f}); killed half-way, the rest took {rest:5.1f} s'
            print(f'{n:7} photos: {first}; {again}', flush=True)


if __name__ == '__main__':
    if sys.argv[1:2] == ['pairs']:
        for n in map(int, sys.argv[2:] or (3_000, 10_000, 30_000, 100_000)):
            time_pairs(n)
    else:
        main(*map(int, sys.argv[1:]))
