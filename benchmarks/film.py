"""Films: how steady the colors are, and how fast a film of 720p is colored.

python benchmarks/film.py [CLIP...]    flicker of moving clips made from unseen photos, and of real clips in color
python benchmarks/film.py parts [CLIP...]    the same before encoding, for other shares of earlier frames
python benchmarks/film.py speed        frames a second at 1280×720, on the clock and of the processor

Flicker: the mean distance in ab between a place and the same place one frame earlier, along the optical flow (TV-L1,
which the method itself does not use). All three, the truth, each frame alone and steady, are written to a film by the
same encoder and read back, so its noise is in each of them.
"""

import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

import colorlab.film
from colorlab.colorizer import Colorizer
from colorlab.data import make_manifest
from colorlab.film import color_film, color_frames, key_frames
from colorlab.film_files import Film, film_facts, frame_array, open_film, read_frames, scan_film, write_piece
from colorlab.flicker import clip_motion, flicker, pan_photo
from colorlab.images import open_photo, sample_folder
from colorlab.inputs import model_size
from colorlab.lab import rgb_to_lab

FRAMES = 24  # of a clip
PANS = dict(pan=((0.2, 0.5, 1.6), (0.6, 0.5, 1.6)), zoom=((0.5, 0.5, 1.0), (0.5, 0.5, 1.5)))


def old_film(frames: list) -> list:
    "Gray, with grain, and a lamp that flickers."
    rng, found = np.random.default_rng(0), []
    for frame in frames:
        gray = np.asarray(frame.convert('L')) * (1 + 0.03 * rng.standard_normal())
        gray = gray + 4 * rng.standard_normal(gray.shape)
        found.append(Image.fromarray(gray.clip(0, 255).round().astype(np.uint8)).convert('RGB'))
    return found


def clips(paths: list):
    "Name, the true frames, and the gray ones."
    unseen = list(make_manifest(sample_folder()).subset('test').file)
    for i, (name, ends) in enumerate(PANS.items()):
        true = pan_photo(open_photo(sample_folder() / unseen[10 * i + 3]), (320, 180), FRAMES, *ends)
        yield name, true, [frame.convert('L').convert('RGB') for frame in true]
    true = pan_photo(open_photo(sample_folder() / unseen[23]), (320, 180), FRAMES, (0.8, 0.4, 1.5), (0.4, 0.6, 1.5))
    yield 'pan, old film', true, old_film(true)
    for path in paths:
        with open_film(path) as (container, stream):
            frames = islice(read_frames(container, stream, []), FRAMES)
            true = [Image.fromarray(frame_array(f, film_facts(stream, f).size)) for _, f in frames]
        yield Path(path).stem, true, [frame.convert('L').convert('RGB') for frame in true]


def written(frames: list, path: Path) -> Path:
    "Frames as a film without sound."
    film = Film(frames[0].size, '1', '24', '1/24')
    with write_piece(path, film, '.mkv') as encode:
        for i, frame in enumerate(frames):
            encode(np.asarray(frame), i)
    return path


def read_ab(path: Path, size: tuple) -> list:
    "The colors of a film's frames, at half the model's size."
    with open_film(path) as (container, stream):
        frames = [
            Image.fromarray(frame_array(f, film_facts(stream, f).size)) for _, f in read_frames(container, stream, [])
        ]
    return [rgb_to_lab(np.asarray(f.resize(size, Image.BOX)).transpose(2, 0, 1))[1:] for f in frames]


def true_motion(true: list, size: tuple) -> list:
    "What moves in a clip in color, at a size."
    return clip_motion([np.asarray(f.convert('L').resize(size, Image.BOX)) for f in true])


def steadiness(paths: list):
    "A table of flicker, color error and chroma."
    lite, folder = Colorizer.from_pretrained('lite'), Path(tempfile.mkdtemp())
    print('| clip | | flicker | times the truth | worst step | ab-RMSE | chroma |\n|---|---|---|---|---|---|---|')
    for name, true, gray in clips(paths):
        size = tuple(s // 2 for s in model_size(true[0].size, lite.size))
        source = written(gray, folder / f'{name} gray.nut')
        alone = written([Image.fromarray(lite.color_whole(np.asarray(f))) for f in gray], folder / f'{name} alone.nut')
        color_film(lite, source, folder / f'{name}.mkv', progress=False)
        films = {'truth': written(true, folder / f'{name} true.nut'), 'each frame alone': alone}
        films['steady'] = folder / f'{name}.mkv'
        colors = {what: read_ab(path, size) for what, path in films.items()}
        motion = true_motion(true, size)
        base = flicker(colors['truth'], motion).mean()
        for what, ab in colors.items():
            steps = flicker(ab, motion)
            rmse = np.sqrt(np.mean(np.square(np.subtract(ab, colors['truth']))))
            chroma = np.linalg.norm(ab, axis=1).mean()
            row = f'{steps.mean():.2f} | {steps.mean() / base:.2f} | {steps.max():.2f} | {rmse:.1f} | {chroma:.1f} |'
            print(f'| {name} | {what} | {row}', flush=True)


SHARES = (0, 0), (0.8, 0), (0.6, 0.8), (0.8, 0.8)  # of the key before in a key; of the frame before in any frame


def parts(paths: list):
    "A table of flicker and color error, before encoding, for several shares of earlier frames."
    lite, folder = Colorizer.from_pretrained('lite'), Path(tempfile.mkdtemp())
    print('| clip | of key | of frame | flicker, times the truth | ab-RMSE |\n|---|---|---|---|---|')
    for name, true, gray in clips(paths):
        small = model_size(true[0].size, lite.size)
        size = small[0] // 2, small[1] // 2
        truth = [rgb_to_lab(np.asarray(f.resize(size, Image.BOX)).transpose(2, 0, 1))[1:] for f in true]
        motion = true_motion(true, size)
        source = written(gray, folder / f'{name}.nut')
        film = scan_film(source, progress=False)
        with open_film(source) as (container, stream):
            frames = [*read_frames(container, stream, [])]
        keys = key_frames(film)
        predicted = {i: lite.predict_ab(Image.fromarray(frame_array(frames[i][1], film.size))) for i in keys}
        for of_key, of_frame in SHARES:
            colorlab.film.KEEP_OF_KEY, colorlab.film.KEEP_OF_FRAME = of_key, of_frame
            colors = color_frames(frames, film, keys, small, lambda i, _: predicted[i])
            ab = [np.stack([np.asarray(Image.fromarray(c).resize(size, Image.BOX)) for c in f[2]]) for f in colors]
            times = flicker(ab, motion).mean() / flicker(truth, motion).mean()
            rmse = np.sqrt(np.mean(np.square(np.subtract(ab, truth))))
            print(f'| {name} | {of_key} | {of_frame} | {times:.2f} | {rmse:.2f} |', flush=True)


def speed(n: int = 96):
    "Frames a second at 720p, the whole of `color_film`."
    lite, folder = Colorizer.from_pretrained('lite'), Path(tempfile.mkdtemp())
    photo = open_photo(sample_folder() / list(make_manifest(sample_folder()).subset('test').file)[3])
    frames = pan_photo(photo, (1280, 720), n, (0.2, 0.5, 1.6), (0.6, 0.5, 1.6))
    source = written([frame.convert('L').convert('RGB') for frame in frames], folder / 'gray.nut')
    began, used = time.perf_counter(), time.process_time()
    scan_film(source, progress=False)
    looked = time.perf_counter() - began, time.process_time() - used
    began, used = time.perf_counter(), time.process_time()
    color_film(lite, source, folder / 'out.mp4', progress=False)
    took = time.perf_counter() - began, time.process_time() - used
    print(f'{n} frames of 1280 × 720: {took[0]:.1f} s on the clock, {took[1]:.1f} s of processor')
    print(f'{n / took[0]:.1f} frames a second on the clock; {n / took[1]:.1f} for each second of processor')
    print(f'of that, looking through the film: {looked[0]:.1f} s, {looked[1]:.1f} s of processor')


if __name__ == '__main__':
    if sys.argv[1:] == ['speed']:
        speed()
    elif sys.argv[1:2] == ['parts']:
        parts(sys.argv[2:])
    else:
        steadiness(sys.argv[1:])
