"""The doctor on folders of 10,000, 30,000 and 100,000 generated photos: time and memory, and a SIGKILL half-way.

    python benchmarks/doctor.py [PHOTOS ...]
"""
import os, resource, signal, subprocess, sys, tempfile, time
from pathlib import Path
from colorlab.data import in_threads

CHILD = '''
import resource, sys, time
from colorlab.doctor import diagnose
began = time.perf_counter()
d = diagnose(sys.argv[1])
print(len(d.table), len(d.pairs), time.perf_counter()-began, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)
'''


def make_photos(folder, first, n):
    "Four crops of the sample side by side, at random places and sizes; one picture in a hundred is saved twice."
    import numpy as np
    from PIL import Image
    from colorlab.lab import open_photo, photo_files, sample_folder
    sources = [open_photo(sample_folder()/f) for f in photo_files(sample_folder())]
    def make(i):
        rng = np.random.default_rng(i - (i % 100 == 1)) # 1 shows what 0 shows, 101 what 100 shows, …
        photo, path = Image.new('RGB', (128, 128)), folder/f'{i//1000:03}'/f'{i:06}.jpg'
        for corner in ((0, 0), (64, 0), (0, 64), (64, 64)):
            source, side = sources[rng.integers(len(sources))], rng.uniform(40, 200)
            x, y = rng.uniform(0, 256 - side, 2)
            photo.paste(source.resize((64, 64), Image.BICUBIC, box=(x, y, x + side, y + side)), corner)
        path.parent.mkdir(exist_ok=True)
        photo.save(path, quality=75 if i % 100 == 1 else 88)
    for _ in in_threads(make, range(first, n), 'making photos'): pass


def start(folder, env): return subprocess.Popen([sys.executable, '-c', CHILD, str(folder)], env=env, stdout=subprocess.PIPE, text=True)


def main(*counts):
    with tempfile.TemporaryDirectory() as tmp:
        folder, made = Path(tmp)/'photos', 0
        folder.mkdir()
        for n in counts or (10_000, 30_000, 100_000):
            make_photos(folder, made, n)
            made = n
            env = os.environ | dict(COLORLAB_CACHE=f'{tmp}/cache-{n}', TQDM_DISABLE='1', PYTHONWARNINGS='ignore')
            child = start(folder, env)
            whole, pairs, seconds, busy, peak = map(float, child.communicate()[0].split())
            again = start(folder, env)
            second, second_busy = map(float, again.communicate()[0].split()[2:4])
            env['COLORLAB_CACHE'] = f'{tmp}/killed-{n}'
            child = start(folder, env)
            time.sleep(4 + seconds/2)
            child.send_signal(signal.SIGKILL)
            child.wait()
            rest = float(start(folder, env).communicate()[0].split()[2])
            print(f'{n:7} photos: {seconds:6.1f} s ({busy:.1f} s of processor), peak {peak:5.0f} MiB, {pairs:.0f} pairs; again {second:5.1f} s ({second_busy:.1f}); killed half-way, the rest took {rest:5.1f} s', flush=True)


if __name__ == '__main__': main(*map(int, sys.argv[1:]))
