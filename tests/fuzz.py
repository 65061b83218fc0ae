"""Mutate real picture files and read them: python tests/fuzz.py [N] [SEED].

Every answer must be a photo or one line of BadInput.

Runs in a process of its own (tests/test_photo.py starts it), since a decoder that crashes would take the tests with it.
"""

import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from imagecodecs import png_encode
from PIL import Image

from colorlab.images import BadInput, open_photo, sample_folder
from colorlab.metadata import read_provenance
from colorlab.photo import Photo, read_photo, write_photo


def seeds(folder):
    "Small real files of every kind, each carrying metadata and our mark."
    color = open_photo(sample_folder() / 'scenes' / 'lw-bridge.jpg').resize((48, 40))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, 'from the shoebox'
    clear, deep = color.copy(), np.asarray(color).astype(np.uint16) * 257
    clear.putalpha(Image.linear_gradient('L').resize(color.size))
    for name, pic in {
        'a.jpg': color,
        'g.jpg': color.convert('L'),
        'c.jpg': color.convert('CMYK'),
        'a.png': clear,
        'p.png': clear.quantize(16),
        'a.tif': color,
        'a.webp': clear,
        'a.bmp': color,
        '1.tif': color.convert('1'),
    }.items():
        pic.save(folder / name, exif=exif)
    (folder / 'd.png').write_bytes(png_encode(deep))
    for name, pic in {'d.tif': deep, 'f.tif': (deep / 65535).astype(np.float32)}.items():
        tifffile.imwrite(folder / name, pic)
    for file in sorted(folder.glob('*.*')):
        write_photo(read_photo(file), file, dict(model='fuzz'))
    return [f for f in sorted(folder.glob('*.*')) if f.suffix != '.xmp']


def mutate(data, rng):
    "Flip, cut, repeat or overwrite a few places."
    data = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        at, n = int(rng.integers(len(data))), int(rng.integers(1, 65))
        match rng.integers(5):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at : at + n] = rng.bytes(n)
            case 2:
                del data[at : at + n]
            case 3:
                data[at:at] = data[at : at + n]
            case 4:
                data[at : at + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1])).to_bytes(
                    4, rng.choice(['little', 'big'])
                )
        if len(data) < 8:
            break
    return bytes(data[: int(rng.integers(8, len(data) + 1))] if rng.random() < 0.1 else data)


def main(n=2000, seed=0):
    rng, tally = np.random.default_rng(seed), dict(read=0, refused=0)
    with tempfile.TemporaryDirectory() as tmp:
        files = seeds(Path(tmp))
        for i in range(n):
            source = files[i % len(files)]
            victim = Path(tmp) / f'victim{source.suffix}'
            victim.write_bytes(mutate(source.read_bytes(), rng))
            for ask in (lambda f: read_photo(f, max_pixels=4_000_000), read_provenance):
                try:
                    got = ask(victim)
                    assert got is None or isinstance(got, (Photo, dict))
                    tally['read'] += 1
                except BadInput as e:
                    assert 'victim' in str(e) and '\n' not in str(e), repr(str(e))
                    tally['refused'] += 1
    peak = (
        int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) // 1024
    )  # ru_maxrss would include the process that started this one
    print(
        f'{n} mutated files: {tally["read"]} answers, {tally["refused"]} refusals, no traceback; peak memory {peak} MiB'
    )
    assert peak < 1500


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
