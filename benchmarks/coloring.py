"""Coloring photos of 1, 12 and 50 megapixels, in torch and as ONNX, with AVX2 and with all instructions, side by side.

Cold is the whole command from its start, warm is one more photo in the same process. For AVX2, NumPy and torch are
told to use nothing newer, as on most laptops; onnxruntime cannot be told, so its network runs with what there is.

python benchmarks/coloring.py [ROUNDS]
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
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
AVX2 = dict(  # names of AVX-512 before NumPy 2.4, and since
    NPY_DISABLE_CPU_FEATURES='AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4',
    ATEN_CPU_CAPABILITY='avx2',
    ONEDNN_MAX_CPU_ISA='AVX2',
    OPENBLAS_CORETYPE='Haswell',
)
SIZES = {'1 megapixel': (1200, 833), '12 megapixels': (4000, 3000), '50 megapixels': (8160, 6120)}


class Cold(NamedTuple):
    "What one run of the whole command took."

    clock: float  # seconds
    processor: float  # seconds
    peak: float  # MiB


def machine():
    "What computes: kind and number of processors, and the instructions that torch finds."
    return f'{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}'


def cold(file, model, out, limits):
    "Color a file by the command, in a process that is measured."
    program = Path(sys.executable).with_name('colorlab')
    command = [program, 'colorize', file, '--model', model, '--out', out, '--force']
    measure = [sys.executable, '-c', MEASURE, *map(str, command)]
    done = subprocess.run(measure, check=True, capture_output=True, text=True, env=os.environ | limits)
    return Cold(*json.loads(done.stdout))


def warm(file, colorizer, out):
    "Seconds for a file in this process."
    began = time.perf_counter()
    color_file(colorizer, file, out)
    return time.perf_counter() - began


def report(name, backend, limit, colds, warms):
    "One line: medians over the rounds."
    clock, processor, peak = map(statistics.median, zip(*colds))
    again = f', warm {statistics.median(warms):.1f} s' if warms else ''
    print(f'{name:14} {backend:5} {limit:7} cold {clock:5.1f} s ({processor:.1f} s of processor)', end='')
    print(f'{again}, peak memory {peak:.0f} MiB', flush=True)


def main(rounds=3):
    print(machine())
    limits = {'all': {}} if torch.backends.cpu.get_cpu_capability() == 'AVX2' else {'all': {}, 'AVX2': AVX2}
    tmp = Path(tempfile.mkdtemp())
    export_onnx('lite', tmp / 'lite.onnx')
    in_torch = shutil.copy(find_model('lite'), tmp / 'lite.safetensors')  # by its name it would run as ONNX
    models = {'torch': in_torch, 'onnx': tmp / 'lite.onnx'}
    colorizers = {backend: Colorizer.from_pretrained(model) for backend, model in models.items()}
    photo = open_photo(sample_folder() / 'scenes' / 'lw-picosdeeuropa.jpg').convert('L')
    for name, size in SIZES.items():
        file = tmp / f'{size[0]}.jpg'
        photo.resize(size, Image.BICUBIC).save(file, quality=92)
        colds = {(backend, limit): [] for backend in models for limit in limits}
        warms = {backend: [] for backend in models}
        for _ in range(rounds):
            for backend, model in models.items():  # in turn
                for limit, variables in limits.items():
                    colds[backend, limit].append(cold(file, model, tmp / 'out', variables))
                warms[backend].append(warm(file, colorizers[backend], tmp / 'warm.jpg'))
        for backend, limit in colds:
            report(name, backend, limit, colds[backend, limit], warms[backend] if limit == 'all' else [])


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
