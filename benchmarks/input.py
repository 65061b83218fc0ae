"""From 640×480 JPEGs to batches of 256 pixels in Lab, on one core: the tutorials' recipe against colorlab's loader.

    python benchmarks/input.py [PHOTOS]
"""
import os, sys, tempfile, time
from pathlib import Path
if hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {0})
tmp = Path(tempfile.mkdtemp())
os.environ['COLORLAB_CACHE'] = str(tmp/'cache')
import numpy as np, torch
from PIL import Image
from skimage.color import rgb2lab
from colorlab.data import PhotoLoader, cache_photos, scan
from colorlab.lab import LAB, open_photo, photo_files, rgb_to_lab, sample_folder

torch.set_num_threads(1)
SIZE, BS = 256, 16


def make_photos(n):
    "Photos of the sample, enlarged to 640×480 and saved at quality 90."
    (tmp/'photos').mkdir()
    for i, f in enumerate(photo_files(sample_folder())[:n]):
        open_photo(sample_folder()/f).resize((640, 480), Image.BICUBIC).save(tmp/'photos'/f'{i:04}.jpg', quality=90)


def tutorial():
    "Open and squash with Pillow, Lab with scikit-image, one photo at a time."
    for file in sorted((tmp/'photos').iterdir()):
        img = np.asarray(Image.open(file).convert('RGB').resize((SIZE, SIZE), Image.BICUBIC))
        lab = torch.from_numpy(rgb2lab(img).astype('float32')).permute(2, 0, 1)
        yield lab[:1]/50 - 1, lab[1:]/110


def timed(work):
    began = time.perf_counter()
    n = sum(len(x) if x.ndim == 4 else 1 for x, _ in work)
    return n/(time.perf_counter() - began)


def main(n=200):
    make_photos(n)
    rows = scan(tmp/'photos')
    def first_pass():
        yield from PhotoLoader(cache_photos(tmp/'photos', rows, round(SIZE*1.12)), LAB, SIZE, BS, train=True)
    speeds = {'tutorial': timed(tutorial()), 'colorlab, first pass (decode, check, shrink, cache)': timed(first_pass()),
              'colorlab, from the cache': np.median([timed(first_pass()) for _ in range(3)])}
    for name, s in speeds.items(): print(f'{name:52} {s:7.0f} photos/s  {s/speeds["tutorial"]:5.1f}×')
    batch = torch.randint(0, 256, (BS, 3, SIZE, SIZE), dtype=torch.uint8)
    rgb_to_lab(batch)
    began = time.perf_counter()
    for _ in range(10): rgb_to_lab(batch)
    print(f'Lab alone, a batch of {BS} at {SIZE} px: {(time.perf_counter()-began)*100:.0f} ms')


if __name__ == '__main__': main(*map(int, sys.argv[1:]))
