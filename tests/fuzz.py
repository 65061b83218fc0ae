"""Mutate small photo files of every kind, and read, write and read them again: python tests/fuzz.py [N] [SEED] [FIRST].

Each answer must be a photo that is written and comes back the same, or one line of BadInput. Everything else is a
failure, and its number is printed: `python tests/fuzz.py 1 SEED NUMBER` does that case alone. The cases run in a
process of its own with little memory and little time for each, since a decoder may crash.
"""

import faulthandler
import io
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from zlib import compress

import numpy as np
import tifffile
from imagecodecs import cms_profile, jpeg2k_encode, png_encode
from PIL import Image, PngImagePlugin

from colorlab.cli import quiet_libraries
from colorlab.decoding import png_chunk, png_chunks
from colorlab.exif import segment
from colorlab.formats import register_heic
from colorlab.images import BadInput, open_photo, open_small, sample_folder
from colorlab.metadata import RESOURCES_HEAD, RESOURCES_TAG, XMP_TAG, add_properties, read_provenance
from colorlab.photo import read_photo, write_photo

MAX_PIXELS, MEMORY, SECONDS = 1_000_000, 2**30, 30  # of one case; memory is beyond what the program itself takes
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def interlaced_png(pixels):  # uint8 (H, W, 3)
    "A PNG in seven passes; Pillow writes none."
    passes = [pixels[y::dy, x::dx] for y, x, dy, dx in ADAM7]
    rows = b''.join(b'\0' + row.tobytes() for some in passes for row in some)
    head = struct.pack('>IIBBBBB', *pixels.shape[1::-1], 8, 2, 0, 0, 1)
    chunks = [(b'IHDR', head), (b'IDAT', compress(rows)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(png_chunk(*chunk) for chunk in chunks)


def said():
    "EXIF with parts and a thumbnail, XMP, a profile, and IPTC."
    exif, small = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010E] = 6, 'from the shoebox'
    exif.get_ifd(0x8769)[0x927C] = bytes(range(64))
    exif.get_ifd(0x8825)[1] = 'N'
    Image.new('L', (8, 6), 99).save(small, 'JPEG')
    body = bytearray(exif.tobytes())
    second = struct.pack('<HHHIIHHII', 2, 513, 4, 1, 0, 514, 4, 1, len(small.getvalue()))
    body += second + bytes(4) + small.getvalue()
    caption = b'8BIM\x04\x04\0\0' + struct.pack('>I', 12) + b'\x1c\x02\x78\0\x07at sea'
    xmp = add_properties(None, {'{http://purl.org/dc/elements/1.1/}title': 'Lake'})
    return dict(exif=bytes(body), xmp=xmp, icc_profile=cms_profile('adobergb')), caption


def write_by_pillow(folder, color, clear):
    "Seeds of the formats that Pillow writes."
    what, caption = said()
    text = PngImagePlugin.PngInfo()
    text.add_itxt('XML:com.adobe.xmp', what['xmp'].decode(), zip=True)
    text.add_text('Title', 'Lake', zip=True)
    png = dict(exif=what['exif'], icc_profile=what['icc_profile'], pnginfo=text)
    two = dict(save_all=True, append_images=[color.resize((16, 12))])
    register_heic()
    for name, pic, options in (
        ('baseline.jpg', color, what),
        ('progressive.jpg', color, what | dict(progressive=True)),
        ('gray.jpg', color.convert('L'), dict(exif=what['exif'])),
        ('inks.jpg', color.convert('CMYK'), dict(xmp=what['xmp'])),
        ('two.jpg', color, what | two | dict(format='MPO')),
        ('alpha.png', clear, png),
        ('palette.png', clear.quantize(16), png),
        ('bit.png', color.convert('1'), {}),
        ('plain.tif', color, what),
        ('fax.tif', color.convert('1'), dict(compression='group4')),
        ('lossless.webp', clear, what | dict(lossless=True)),
        ('lossy.webp', color, what),
        ('a.avif', color, what | dict(speed=10)),
        ('alpha.avif', clear, dict(speed=10)),
        ('a.heic', color, dict(exif=what['exif'], xmp=what['xmp'])),
        ('a.bmp', color, {}),
        ('palette.bmp', color.quantize(16), {}),
        ('a.gif', color.quantize(16), {}),
        ('a.jp2', clear, {}),
    ):
        pic.save(folder / name, **options)
    for name in ('baseline.jpg', 'progressive.jpg'):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:20] + segment(0xED, RESOURCES_HEAD, caption) + data[20:])


def write_by_others(folder, pixels):  # uint8 (H, W, 3)
    "Seeds of deep pixels, and of the many layouts of TIFF."
    what, caption = said()
    deep, gray = pixels.astype(np.uint16) * 257, pixels[..., 1]
    (folder / 'deep.png').write_bytes(png_encode(deep))
    (folder / 'deepgray.png').write_bytes(png_encode(deep[..., 0].copy()))
    (folder / 'interlaced.png').write_bytes(interlaced_png(pixels))
    (folder / 'a.j2k').write_bytes(jpeg2k_encode(pixels, codecformat='j2k'))
    tags = [(RESOURCES_TAG, 1, len(caption), caption, True), (XMP_TAG, 1, len(what['xmp']), what['xmp'], True)]
    tags += [(274, 3, 1, 6, True), (33432, 2, 0, 'A. Person', True)]
    rgb, inks = dict(photometric='rgb'), np.dstack([pixels, gray])
    for name, pic, options in (
        ('tiles', deep, rgb | dict(tile=(16, 16), compression='lzw', predictor=True)),
        ('apart', np.moveaxis(pixels, -1, 0), rgb | dict(planarconfig='separate', compression='zlib', predictor=True)),
        ('strips', gray, dict(rowsperstrip=5, compression='packbits', byteorder='>')),
        ('big', deep, rgb | dict(bigtiff=True, byteorder='>')),
        ('float', (deep / 65535).astype(np.float32), rgb | dict(compression='zlib', predictor=3)),
        ('half', (deep / 65535).astype(np.float16), rgb),
        ('alpha', np.dstack([deep, deep[..., 0]]), rgb | dict(extrasamples=['assocalpha'])),
        ('inks', inks, dict(photometric='separated', compression='lzma')),
        ('lab', pixels, dict(photometric='cielab')),
        ('palette', gray, dict(photometric='palette', colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) * 85)),
        ('jpeg', pixels, dict(photometric='ycbcr', compression='jpeg')),
        ('webp', pixels, rgb | dict(compression='webp')),
        ('jpeg2000', pixels, rgb | dict(compression='jpeg2000')),
        ('zstd', gray, dict(photometric='miniswhite', compression='zstd')),
    ):
        icc = what['icc_profile'] if 'rgb' in options.get('photometric', '') else None
        tifffile.imwrite(folder / f'{name}.tif', pic, metadata=None, extratags=tags, iccprofile=icc, **options)


def seeds(folder):
    "Small real files of every kind, each carrying metadata; many carry our mark, too."
    color = open_photo(sample_folder() / 'scenes' / 'lw-bridge.jpg').resize((48, 40))
    clear = color.copy()
    clear.putalpha(Image.linear_gradient('L').resize(color.size))
    write_by_pillow(folder, color, clear)
    write_by_others(folder, np.asarray(color))
    for file in sorted(folder.glob('*.*')):
        try:
            photo = read_photo(file)
        except BadInput:  # of the formats that are only read
            open_photo(file)
            continue
        if photo.format != 'TIFF':  # which would come back in one layout
            write_photo(photo, folder / f'marked-{file.name}', dict(model='seed'))
    return sorted(f for f in folder.glob('*.*') if f.suffix != '.xmp')


LANDMARKS = re.compile(
    b'Exif|ICC_PROFILE|iCCP|acsp|8BIM|II\\*|MM\0|XML:|http:|IHDR|tRNS|PLTE|eXIf|VP8|EXIF|ALPH|ispe|iloc|colr|av1C|hvcC'
    b'|ihdr|\xff\x51|\xff\xc0|\xff\xc2|\xff\xc4|\xff\xda'
)


def some_place(data, rng):
    "Where to strike: anywhere, in the head, near a name that means something, or among the tags of a TIFF."
    marks = [found.start() for found in LANDMARKS.finditer(bytes(data))]
    kind = rng.integers(4)
    if kind == 1:
        return int(rng.integers(min(len(data), 64)))
    if kind == 2 and marks:
        return min(int(rng.choice(marks)) + int(rng.integers(48)), len(data) - 1)
    if kind == 3 and data[:2] in (b'II', b'MM'):
        at = int.from_bytes(data[4:8], 'little' if data[:2] == b'II' else 'big') if data[2:3] != b'+' else 16
        return min(at + int(rng.integers(256)), len(data) - 1)
    return int(rng.integers(len(data)))


def mutate(data, rng, other):
    "Flip, cut, repeat or overwrite a few places, or put in a piece of another file; the checksums of a PNG stay true."
    data = bytearray(data)
    for _ in range(min(rng.geometric(0.6), 8)):
        at, n = some_place(data, rng), int(rng.integers(1, 65))
        match rng.integers(7):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at : at + n] = rng.bytes(n)
            case 2:
                del data[at : at + n]
            case 3:
                data[at:at] = data[at : at + n]
            case 4 | 5:
                size = int(rng.choice([2, 4, 8]))
                number = int(rng.choice([0, 1, 2, 255, 32767, 65535, 2**31 - 1, 2**32 - 1, at, len(data)]))
                order = str(rng.choice(['little', 'big']))
                data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, order)
            case 6:
                start = int(rng.integers(len(other)))
                data[at : at + n] = other[start : start + n]
        if len(data) < 8:
            break
    if data[:8] == b'\x89PNG\r\n\x1a\n' and rng.random() < 0.7:
        data = data[:8] + b''.join(png_chunk(*chunk) for chunk in png_chunks(bytes(data)))
    return bytes(data[: int(rng.integers(8, len(data) + 1))] if rng.random() < 0.1 and len(data) > 8 else data)


def check_refusal(error, file):
    "A refusal is one line that names the file, and has not run out of memory."
    text, cause = str(error), error.__cause__
    assert file.name in text and '\n' not in text, repr(text)
    assert not isinstance(cause, MemoryError), text
    return 'refused'


def check_written(photo, file):
    "A photo is written with its mark, and comes back the same."
    path = file.with_name(f'written{file.suffix}')
    write_photo(photo, path, dict(model='fuzz'))
    again = read_photo(path)
    assert again.pixels.shape == photo.pixels.shape and again.pixels.dtype == photo.pixels.dtype
    assert (again.alpha is None) == (photo.alpha is None)
    if photo.format in ('PNG', 'TIFF', 'WEBP', 'BMP'):
        seen = slice(None) if photo.format != 'WEBP' or photo.alpha is None else photo.alpha > 0
        assert (again.pixels[seen] == photo.pixels[seen]).all(), 'other pixels'
        assert photo.alpha is None or (again.alpha == photo.alpha).all(), 'another transparency'
    assert read_provenance(path)['model'] == 'fuzz'


def examine(file):
    "What becomes of one file; AssertionError or any error but BadInput is a failure."
    outcome = 'read'
    try:
        photo = read_photo(file, max_pixels=MAX_PIXELS)
        height, width, channels = photo.pixels.shape
        assert 0 < height * width <= MAX_PIXELS and channels == 3
        assert photo.pixels.dtype in (np.uint8, np.uint16, np.float32)
        check_written(photo, file)
        outcome = 'written'
    except BadInput as e:
        outcome = check_refusal(e, file)
    if outcome == 'refused':
        try:
            small = open_small(file, 16, max_pixels=MAX_PIXELS)
            assert small.img.mode == 'RGB'
            outcome = 'read'
        except BadInput as e:
            outcome = check_refusal(e, file)
    try:
        assert isinstance(read_provenance(file), dict | None)
    except BadInput as e:
        check_refusal(e, file)
    return outcome


def status_of(name):  # VmSize, VmHWM: MiB
    return int(re.search(rf'{name}:\s+(\d+)', Path('/proc/self/status').read_text())[1]) // 1024


def worker(folder, first, last, seed):
    "Do the cases from `first` on; before each its number is printed, and after it what became of it."
    faulthandler.enable()
    quiet_libraries()  # as the command does
    files = [(file, file.read_bytes()) for file in sorted((folder / 'seeds').iterdir()) if file.suffix != '.xmp']
    for file, _ in files:
        examine(file)  # loads every library
    limit = status_of('VmSize') * 2**20 + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in range(first, last):
        file, data = files[case % len(files)]
        rng = np.random.default_rng([seed, case])
        victim = folder / f'victim{file.suffix}'
        victim.write_bytes(mutate(data, rng, files[int(rng.integers(len(files)))][1]))
        print('case', case, file.name, flush=True)
        signal.alarm(SECONDS)  # which ends the process
        start, said_before = time.process_time(), os.fstat(2).st_size
        try:
            outcome = examine(victim)
            outcome = outcome if os.fstat(2).st_size == said_before else 'chatter'  # a library printed its opinion
        except Exception:
            outcome = 'failed'
            print(f'--- case {case}, {file.name}', file=sys.stderr)
            traceback.print_exc(limit=-4)
        signal.alarm(0)
        print('outcome', outcome, f'{time.process_time() - start:.3f}', status_of('VmHWM'), flush=True)


def run_cases(folder, first, last, seed):
    "The lines of workers, a new one after each that died: (case, name of the seed, outcome, seconds, MiB)."
    env = os.environ | dict(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1', PYTHONPATH=str(Path(__file__).parents[1]))
    while first < last:
        command = [sys.executable, __file__, 'worker', str(folder), str(first), str(last), str(seed)]
        errors = open(folder / 'errors', 'ab')
        with errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as process:
            case = None
            for line in process.stdout:
                word, *rest = line.split()
                if word == 'case':
                    case, name = int(rest[0]), rest[1]
                else:
                    yield case, name, rest[0], float(rest[1]), int(rest[2])
                    first, case = case + 1, None
        if case is None and process.returncode:
            raise RuntimeError('the seeds themselves cannot be read: ' + (folder / 'errors').read_text())
        if case is not None:
            yield case, name, f'died of signal {-process.returncode}', 0, 0
            first = case + 1


def format_of(name):
    return {'jpg': 'JPEG', 'tif': 'TIFF', 'j2k': 'JPEG 2000', 'jp2': 'JPEG 2000'}.get(
        name[-3:], name.split('.')[1].upper()
    )


def main(n=2000, seed=0, first=0):
    start, tally, failures, slow, peak = time.perf_counter(), {}, [], [], 0
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        (folder / 'seeds').mkdir()
        files = seeds(folder / 'seeds')
        for case, name, outcome, seconds, mib in run_cases(folder, first, first + n, seed):
            tally.setdefault(format_of(name), Counter())[outcome] += 1
            peak = max(peak, mib)
            if outcome not in ('written', 'read', 'refused'):
                print('FAILURE', case, name, outcome, flush=True)
                failures.append(f'{case} ({name}): {outcome}')
            if seconds > 2:
                slow.append(f'{case} ({name}): {seconds:.1f} s')
        print((folder / 'errors').read_text(errors='replace')[-20_000:], end='')
    for format, found in sorted(tally.items()):
        print(f'{format:9}', *(f'{count} {outcome},' for outcome, count in sorted(found.items())))
    print(f'slow: {slow}' if slow else 'none took more than two seconds of the processor')
    took = time.perf_counter() - start
    print(f'{n} mutated files of {len(files)} kinds, {len(failures)} failures; peak memory {peak} MiB; {took:.0f} s')
    assert not failures, failures
    assert peak < 1000


if __name__ == '__main__':
    if sys.argv[1:2] == ['worker']:
        worker(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        main(*map(int, sys.argv[1:]))
