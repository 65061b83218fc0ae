"""Coloring photos of 1, 12 and 50 megapixels, in torch and as ONNX side by side: the whole command from its start (cold), and one more photo in the same process (warm).

python benchmarks/coloring.py [ROUNDS]
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from colorlab import Colorizer
from colorlab.backends import find_model
from colorlab.colorize import color_file
from colorlab.export import export_onnx
from colorlab.images import open_photo, sample_folder

MEASURE = """import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss/1024]))"""
SIZES = {'1 megapixel': (1200, 833), '12 megapixels': (4000, 3000), '50 megapixels': (8160, 6120)}


def cold(file, model, out):
    "Seconds by the clock, seconds of processor, and peak MiB of the whole command."
    command = [Path(sys.executable).with_name('colorlab'), 'colorize', file, '--model', model, '--out', out, '--force']
    return json.loads(
        subprocess.run(
            [sys.executable, '-c', MEASURE, *map(str, command)], check=True, capture_output=True, text=True
        ).stdout
    )


def warm(file, colorizer, out):
    began = time.perf_counter()
    color_file(colorizer, file, out)
    return time.perf_counter() - began


def main(rounds=3):
    tmp = Path(tempfile.mkdtemp())
    export_onnx('lite', tmp / 'lite.onnx')
    ways = {
        'torch': shutil.copy(find_model('lite'), tmp / 'lite.safetensors'),
        'onnx': tmp / 'lite.onnx',
    }  # by its name it would run as ONNX
    colorizers = {way: Colorizer.from_pretrained(model) for way, model in ways.items()}
    photo = open_photo(sample_folder() / 'scenes' / 'lw-picosdeeuropa.jpg').convert('L')
    for name, size in SIZES.items():
        file = tmp / f'{size[0]}.jpg'
        photo.resize(size, Image.BICUBIC).save(file, quality=92)
        found = {way: [] for way in ways}
        for _ in range(rounds):  # in turn
            for way, model in ways.items():
                found[way].append([*cold(file, model, tmp / 'out'), warm(file, colorizers[way], tmp / 'warm.jpg')])
        for way, rows in found.items():
            clock, processor, peak, again = map(statistics.median, zip(*rows))
            print(
                f'{name:14} {way:5} cold {clock:5.1f} s ({processor:.1f} s of processor), warm {again:5.1f} s, peak memory {peak:.0f} MiB',
                flush=True,
            )


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
