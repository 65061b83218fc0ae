"""Coloring photos of 1, 12 and 50 megapixels by the command: cold seconds and peak memory, and warm seconds in one process.

    python benchmarks/coloring.py
"""
import subprocess, sys, tempfile, time
from pathlib import Path
from PIL import Image
from colorlab.lab import open_photo, sample_folder

MEASURE = 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024)'
SIZES = {'1 megapixel': (1200, 833), '12 megapixels': (4000, 3000), '50 megapixels': (8160, 6120)}


def main():
    from colorlab.colorize import color_file, torch_colorizer
    tmp, colorizer = Path(tempfile.mkdtemp()), torch_colorizer()
    photo = open_photo(sample_folder()/'scenes'/'lw-picosdeeuropa.jpg').convert('L')
    for name, size in SIZES.items():
        file = tmp/f'{size[0]}.jpg'
        photo.resize(size, Image.BICUBIC).save(file, quality=92)
        command = [Path(sys.executable).with_name('colorlab'), 'colorize', file, '--out', tmp/'out', '--force']
        began = time.perf_counter()
        peak = subprocess.run([sys.executable, '-c', MEASURE, *command], check=True, capture_output=True, text=True).stdout.strip()
        cold = time.perf_counter() - began
        color_file(colorizer, file, tmp/'warm.jpg')
        began = time.perf_counter()
        color_file(colorizer, file, tmp/'warm.jpg')
        print(f'{name:14} cold {cold:5.1f} s, warm {time.perf_counter()-began:5.1f} s, peak memory {peak} MiB', flush=True)


if __name__ == '__main__': main()
