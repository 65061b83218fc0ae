"""`colorlab colorize` and `read_photo` on real files; the rows of the table are checked in notebook `photo`."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from conftest import Running, colorlab, root
from imagecodecs import png_encode
from PIL import Image

from colorlab.colorize import Upscaler, color_files
from colorlab.colorizer import Colorizer
from colorlab.decoding import convert
from colorlab.images import BadInput, atomic_write, sample_folder
from colorlab.inputs import Hint, TTAView, to_photo
from colorlab.lab import SR2, lightness_error, rgb_to_lab
from colorlab.metadata import add_properties, read_provenance
from colorlab.photo import Photo, read_photo, write_errors, write_photo


@pytest.mark.parametrize('path', ['torch', 'onnx'])
def test_every_kind_of_file_comes_back_as_it_went_in(path, light, tmp_path):
    gray = Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg').convert('L').resize((120, 90))
    box, clear = tmp_path / 'box', Image.linear_gradient('L').resize(gray.size)
    box.mkdir()
    with_alpha = gray.copy()
    with_alpha.putalpha(clear)
    kinds = {
        'g.jpg': gray,
        '1.png': gray.convert('1'),
        'p.png': gray.convert('P'),
        'c.jpg': gray.convert('CMYK'),
        'la.png': with_alpha,
        'rgba.tif': with_alpha.convert('RGBA'),
        'a.bmp': gray,
        'a.webp': gray,
        'h.heic': gray,
    }
    for name, pic in kinds.items():
        if name.endswith('heic'):
            pytest.importorskip('pillow_heif').register_heif_opener()
        pic.save(box / name)
    deep = np.asarray(gray).astype(np.uint16) * 257 + 100
    (box / '16.png').write_bytes(png_encode(deep))
    for name, pic in {'16.tif': deep, 'f.tif': (deep / 65535).astype(np.float32)}.items():
        tifffile.imwrite(box / name, pic)
    colorlab('colorize', box, '--out', tmp_path / 'out', '--model', dict(torch='lite', onnx=light)[path])
    for file in sorted(box.iterdir()):
        before, after = read_photo(file), read_photo(tmp_path / 'out' / file.name)
        assert before.format == after.format
        assert (before.pixels.dtype, before.pixels.shape) == (after.pixels.dtype, after.pixels.shape)
        if before.alpha is not None:
            assert (before.alpha == after.alpha).all()
        scale = {'uint8': 255, 'uint16': 65535, 'float32': 1}[str(before.pixels.dtype)]
        L = rgb_to_lab(before.pixels.transpose(2, 0, 1) / np.float32(scale))[:1]
        delta_L = lightness_error(after.pixels.transpose(2, 0, 1) / np.float32(scale), L)[0]
        assert delta_L < (1.5 if before.format in ('JPEG', 'HEIF') else 0.25), (file.name, delta_L)
        assert read_provenance(tmp_path / 'out' / file.name)['model'] == 'lite', file.name


def test_inspect_and_stamp(photos, tmp_path):
    photo = next(photos.rglob('*.jpg'))
    assert json.loads(colorlab('inspect', photo, '--json').stdout)['colorized'] is False
    colorlab('colorize', photo, '--out', tmp_path / 'plain', '--vividness', '1.2')
    colorlab('colorize', photo, '--out', tmp_path / 'stamped', '--stamp', '--sidecar', '--vividness', '1.2')
    said = json.loads(colorlab('inspect', tmp_path / 'plain' / photo.name, '--json').stdout)
    assert said['colorized'] and len(said['sha256']) == 64
    assert said['digital_source_type'].endswith('compositeWithTrainedAlgorithmicMedia')
    assert 'colorized by the model lite' in colorlab('inspect', tmp_path / 'plain' / photo.name).stdout
    assert 'vividness 1.2' in colorlab('inspect', tmp_path / 'stamped' / photo.name).stdout
    assert [f.name for f in tmp_path.rglob('*.xmp')] == [f'{photo.name}.xmp']
    assert 'compositeWithTrainedAlgorithmicMedia' in (tmp_path / 'stamped' / f'{photo.name}.xmp').read_text()
    a, b = (np.asarray(Image.open(tmp_path / f / photo.name)).astype(int) for f in ('plain', 'stamped'))
    changed = np.argwhere(np.abs(a - b).max(2) > 20)
    assert len(changed) and changed.min(0)[0] > a.shape[0] * 0.8  # only in the lower corner


def test_bombs_are_refused(photos, tmp_path):
    Image.new('1', (15000, 15000)).save(photos / 'bomb.png')
    done = colorlab('colorize', photos / 'bomb.png', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and '225 megapixels' in done.stderr and '--max-pixels' in done.stderr


def process_state():
    "What belongs to the whole process, and no library may change."
    stderr = os.fstat(2)
    where = stderr.st_dev, stderr.st_ino
    return Image.MAX_IMAGE_PIXELS, where, list(warnings.filters), dict(os.environ)


def answer(file):
    "What `read_photo` says about a file, as something that can be compared."
    try:
        photo = read_photo(file, max_pixels=1_000_000)
        return photo.format, photo.pixels.tobytes(), sorted(photo.meta.items())
    except BadInput as e:
        return str(e)


def test_threads_read_the_same_and_change_nothing_in_the_process(photos):
    gray = Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg').convert('L')
    Image.new('1', (2000, 2000)).save(photos / 'large.png')
    (photos / 'torn.jpg').write_bytes(next(photos.rglob('*.jpg')).read_bytes()[:3000])
    gray.save(photos / 'lzw.tif', compression='tiff_lzw')
    (photos / 'torn.tif').write_bytes((photos / 'lzw.tif').read_bytes()[:9000])
    (photos / 'deep.png').write_bytes(png_encode(np.asarray(gray).astype(np.uint16) * 257))
    (photos / 'torn16.png').write_bytes((photos / 'deep.png').read_bytes()[:9000])
    tifffile.imwrite(photos / 'deep.tif', np.asarray(gray).astype(np.float32) / 255)
    (photos / 'letter.jpg').write_text('Dear photo')
    files = sorted(f for f in photos.rglob('*.*') if f.is_file()) * 4
    before, alone = process_state(), [answer(f) for f in files]
    assert sum(isinstance(a, str) for a in alone) == 4 * 5
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(answer, files))
    assert together == alone
    assert process_state() == before


def test_the_limit_is_our_own(tmp_path, monkeypatch):
    "Pillow has one for the whole process, at which it warns, and one twice as large, at which it fails."
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    photo = Photo(np.zeros((90, 120, 3), np.uint8), '')
    for name, format in (('a.png', 'PNG'), ('a.jpg', 'JPEG'), ('a.bmp', 'BMP'), ('a.tif', 'TIFF')):
        photo.format = format
        write_photo(photo, tmp_path / name, dict(model='demo'))
        with warnings.catch_warnings(action='error'):
            assert read_photo(tmp_path / name).pixels.shape == (90, 120, 3)
            assert read_provenance(tmp_path / name)['model'] == 'demo'
    photo.format = 'WEBP'  # whose plugin, in newer versions, asks the limit itself before it says anything
    write_photo(photo, tmp_path / 'a.webp')
    try:
        assert read_photo(tmp_path / 'a.webp').pixels.shape == (90, 120, 3)
    except BadInput as e:
        assert 'a.webp: holds more pixels than Pillow allows: set PIL.Image.MAX_IMAGE' in str(e)
    lying = Image.fromarray(photo.pixels)
    lying.save(tmp_path / 'lying.tif', compression='tiff_lzw', tiffinfo={274: 6})
    assert read_photo(tmp_path / 'lying.tif').pixels.shape == (120, 90, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_floating_point_rgb_is_read_whole(tmp_path):
    "Its profile, orientation, caption and resolution were lost, and a second page with them."
    adobe = pytest.importorskip('imagecodecs').cms_profile('adobergb')
    bytes_ = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    said = dict(description='at the lake', resolution=(300, 300), resolutionunit='INCH')
    how = dict(photometric='rgb', metadata=None, iccprofile=adobe, extratags=[(274, 3, 1, 6, True)])
    tifffile.imwrite(tmp_path / 'a.tif', bytes_.astype(np.float32) / 255, **said, **how)
    photo = read_photo(tmp_path / 'a.tif')
    truth = convert(bytes_, adobe, 'rgb') / 255
    assert np.abs(truth - bytes_ / 255).max() > 0.1 and photo.pixels.shape == (60, 40, 3)
    assert np.abs(photo.pixels - np.rot90(truth, -1)).max() < 0.01
    write_photo(photo, tmp_path / 'b.tif', dict(model='demo'))
    back = read_photo(tmp_path / 'b.tif')
    assert np.abs(back.pixels - photo.pixels).max() < 0.005
    with tifffile.TiffFile(tmp_path / 'b.tif') as tiff:
        assert tiff.pages.first.description == 'at the lake' and tiff.pages.first.resolution == (300, 300)
    tifffile.imwrite(tmp_path / 'two.tif', np.zeros((2, 40, 60, 3), np.float32), photometric='rgb', metadata=None)
    with pytest.raises(BadInput, match='two.tif: holds 2 pages'):
        read_photo(tmp_path / 'two.tif')


def test_tiffs_of_many_programs(tmp_path):
    "Read as a negative, as stripes, turned twice, or not at all; a raw file's preview was taken for the photo."
    with Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg') as img:
        deep = np.asarray(img.resize((96, 80))).astype(np.uint16) * 257
    gray = deep[..., 1]
    rgb, black = dict(photometric='rgb'), dict(photometric='minisblack')
    lying = [(274, 3, 1, 6, True)]
    kinds = {
        'white is zero': (65535 - gray, dict(photometric='miniswhite'), gray),
        'channels apart': (np.moveaxis(deep, -1, 0), rgb | dict(planarconfig='separate'), deep),
        'BigTIFF of 8 bits': ((gray // 257).astype(np.uint8), black | dict(bigtiff=True), gray),
        'BigTIFF': (deep, rgb | dict(bigtiff=True, extratags=lying), np.rot90(deep, -1)),
        'lying': (gray, black | dict(extratags=lying), np.rot90(gray, -1)),
        'gray and alpha': (np.dstack([gray, gray]), black | dict(extrasamples=['unassalpha']), gray),
        'CMYK': (np.dstack([0 * gray] * 3 + [65535 - gray]), dict(photometric='separated'), gray),
    }
    for name, (pixels, options, truth) in kinds.items():
        tifffile.imwrite(tmp_path / 'a.tif', pixels, metadata=None, **options)
        photo = read_photo(tmp_path / 'a.tif')
        found = photo.pixels / np.iinfo(photo.pixels.dtype).max
        truth = truth if truth.ndim == 3 else truth[..., None]
        assert found.shape[:2] == truth.shape[:2] and np.abs(found - truth / 65535).max() < 0.01, name
        assert (photo.alpha is not None) == (name == 'gray and alpha')
        write_photo(photo, tmp_path / 'b.tif')
        assert (read_photo(tmp_path / 'b.tif').pixels == photo.pixels).all(), name
    tifffile.imwrite(tmp_path / 'a.dng', gray, subfiletype=1, metadata=None)
    with pytest.raises(BadInput, match='a.dng: is a raw file'):
        read_photo(tmp_path / 'a.dng')
    (tmp_path / 'torn.tif').write_bytes((tmp_path / 'a.tif').read_bytes()[:7])
    with pytest.raises(BadInput, match='torn.tif: '):
        read_photo(tmp_path / 'torn.tif')


def test_a_gray_profile_counts_with_transparency_too(tmp_path):
    "It was ignored where one gray value is transparent, in files and in memory alike."
    icc = pytest.importorskip('imagecodecs').cms_profile('gray', gamma=1.0)  # linear light
    ramp = Image.linear_gradient('L')
    ramp.save(tmp_path / 'plain.png', icc_profile=icc)
    ramp.save(tmp_path / 'clear.png', icc_profile=icc, transparency=7)
    plain = read_photo(tmp_path / 'plain.png').pixels
    assert plain[128, 0, 0] > 180  # half the light is bright to the eye
    clear = read_photo(tmp_path / 'clear.png')
    assert (clear.pixels == plain).all() and (clear.alpha == 255 * (np.asarray(ramp) != 7)).all()
    for name in ('plain.png', 'clear.png'):
        with Image.open(tmp_path / name) as img:
            assert (to_photo(img).pixels == plain).all()


@pytest.mark.skipif(not shutil.which('exiftool'), reason='exiftool is not installed')
@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.tif', 'a.webp'])
def test_the_provenance_survives_exiftool(name, tmp_path):
    "It writes as elements what we wrote as attributes, and in a PNG behind the pixels."
    provenance = dict(model='demo', sha256='0' * 64, hints='1,2,ab(3,4)')
    photo = Photo(np.zeros((20, 30, 3), np.uint8), Image.registered_extensions()[name[1:]])
    write_photo(photo, tmp_path / name, provenance)
    before = read_provenance(tmp_path / name)
    subprocess.run(['exiftool', '-q', '-XMP-dc:Title=Oma', '-XMP-xmp:Rating=5', tmp_path / name], check=True)
    assert b'<colorlab:model>' in (tmp_path / name).read_bytes()
    assert read_provenance(tmp_path / name) == before
    write_photo(read_photo(tmp_path / name), tmp_path / name, dict(model='another'))
    assert read_provenance(tmp_path / name)['model'] == 'another'
    assert b'demo' not in (tmp_path / name).read_bytes() and b'Oma' in (tmp_path / name).read_bytes()


def jpeg_with_exif(file, exif):
    "A small JPEG with these bytes as EXIF, in as many segments as they need."
    Image.linear_gradient('L').resize((64, 48)).save(file)
    data, segments = file.read_bytes(), b''
    for first in range(0, len(exif), 65000):
        part = b'Exif\0\0' + exif[first : first + 65000]
        segments += b'\xff\xe1' + (len(part) + 2).to_bytes(2, 'big') + part
    file.write_bytes(data[:2] + segments + data[2:])


def odd_photos(box):
    "Good photos whose metadata or names are larger or stranger than a file can hold."
    gray = Image.linear_gradient('L').resize((64, 48))
    gray.save(box / 'xmp.jpg', xmp=add_properties(None, {'{dc}title': 'edited, ' * 8145}))
    notes = Image.Exif()
    notes[0x010F] = 'Kodak'
    notes.get_ifd(0x8769)[0x927C] = bytes(range(256)) * 350
    jpeg_with_exif(box / 'notes.jpg', notes.tobytes().removeprefix(b'Exif\0\0'))
    tag = b'\x12\x01\x02\0\x02\0\0\0' + b'6\0\0\0'  # an orientation in ASCII
    jpeg_with_exif(box / 'ascii.jpg', b'II*\0\x08\0\0\0\x01\0' + tag + bytes(4))
    gray.save(box / 'dpi.tif', dpi=(300, 300))
    data = (box / 'dpi.tif').read_bytes()
    resolution = (300).to_bytes(4, 'little') + (1).to_bytes(4, 'little')
    assert data.count(resolution) == 2
    (box / 'dpi.tif').write_bytes(data.replace(resolution, bytes(8)))  # zero by zero
    gray.save(box / ('x' * 245 + '.jpg'))  # 249 bytes; a file system allows 255
    gray.save(box / 'z.jpg')


def test_odd_metadata_and_long_names_cost_no_photo(tmp_path):
    box = tmp_path / 'box'
    box.mkdir()
    odd_photos(box)
    done = colorlab('colorize', box, '--out', tmp_path / 'out')
    assert '6 photos colored' in done.stdout and done.stderr == ''
    for file in box.iterdir():
        fields = json.loads(colorlab('inspect', tmp_path / 'out' / file.name, '--json').stdout)
        assert fields['model'] == 'lite', file.name
    assert 'did not fit' not in done.stdout
    notes = Image.open(tmp_path / 'out' / 'notes.jpg').getexif()
    assert notes[0x010F] == 'Kodak' and notes.get_ifd(0x8769)[0x927C] == bytes(range(256)) * 350
    assert read_photo(tmp_path / 'out' / 'xmp.jpg').meta['xmp'].count(b'edited, ') == 8145
    with tifffile.TiffFile(tmp_path / 'out' / 'dpi.tif') as tiff:
        assert tiff.pages.first.tags[282].value == (0, 0)  # as it was


def test_what_cannot_be_written_is_one_line_and_the_rest_is_done(tmp_path):
    box = tmp_path / 'box'
    box.mkdir()
    odd_photos(box)
    done = colorlab('colorize', box, '--out', tmp_path / 'out', '--uncertainty', '--force', check=False)
    assert done.returncode == 1 and '5 photos colored' in done.stdout
    assert done.stderr.count('\n') == 1 and 'cannot be written (File name too long)' in done.stderr
    assert not list((tmp_path / 'out').glob('.*'))


def test_a_full_disk_ends_the_work(photos, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'out/a.jpg')

    for error in (ValueError('EXIF data is\ntoo long'), MemoryError(), OSError('encoder error -2')):
        with pytest.raises(BadInput, match='^a.jpg: cannot be written .*[^\\n]*$'), write_errors('a.jpg'):
            raise error
    monkeypatch.setattr('colorlab.photo.atomic_write', full)
    with pytest.raises(OSError, match='No space left'):
        color_files(Colorizer.from_pretrained('lite'), [photos], tmp_path / 'out', progress=False)


def test_temporary_names_are_short(tmp_path):
    with atomic_write(tmp_path / ('x' * 255)) as part:
        assert part.parent == tmp_path and part.match('.*.part') and len(part.name) < 32
        part.write_text('whole')
    assert [f.name for f in tmp_path.iterdir()] == ['x' * 255]


def test_two_photos_with_one_name_are_an_error_before_the_first_write(photos, tmp_path):
    first = next(photos.rglob('*.jpg'))
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / first.name).write_bytes(first.read_bytes())
    done = colorlab('colorize', first, tmp_path / 'other', '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and 'would both become' in done.stderr and not (tmp_path / 'out').exists()


def test_what_is_asked_differently_is_done(tmp_path):
    "It said that all were there already, whatever was asked."
    out, colorizer = tmp_path / 'out', replace(Colorizer.from_pretrained('lite'), size=64, tta_views=(TTAView(),))
    with Image.open(sample_folder() / 'scenes' / 'lw-bridge.jpg') as img:
        img.resize((96, 80)).save(tmp_path / 'a.jpg')

    def colorize(**options):
        got = color_files(colorizer, [tmp_path / 'a.jpg'], out, progress=False, **options)
        return 'there' if got.skipped else 'again' if got.redone else 'new' if got.done else got.failed

    assert colorize() == 'new'
    plain, hints = (out / 'a.jpg').read_bytes(), [Hint(60, 50, '#c03030')]
    for options in (dict(vividness=1.4), dict(vividness='accurate'), dict(stamped=True), dict(hints=hints)):
        assert (colorize(**options), colorize(**options)) == ('again', 'there')
        assert (out / 'a.jpg').read_bytes() != plain
    assert colorize() == colorize(vividness=1.4) == 'there'  # what somebody said by hints is not thrown away
    assert colorize(force=True) == 'new' and (out / 'a.jpg').read_bytes() == plain
    assert colorize(vividness='vivid') == 'there'
    assert (colorize(variants=1), colorize(variants=1), colorize(variants=3)) == ('new', 'there', 'again')
    assert len(list(out.glob('a.variant*.jpg'))) > 1
    assert colorize(variants=3) == colorize(variants=2) == 'there'  # the first two are the same
    assert (colorize(uncertainty=True), colorize(uncertainty=True)) == ('again', 'there')
    colorize(hints=hints)
    assert colorize(hints=hints, uncertainty=True) == 'again'  # the picture is of another time
    assert colorize(hints=hints, sidecar=True) == 'again'
    colorize(force=True)
    model = dict(enlarged_times=2, enlarged_by='blocks', enlarged_sha256='2' * 64)
    upscaler = Upscaler(lambda x: x.repeat(2, 2).repeat(2, 3), SR2, 0, model)
    assert (colorize(upscaler=upscaler), colorize(upscaler=upscaler), colorize()) == ('again', 'there', 'again')
    color_files(colorizer, [tmp_path / 'a.jpg'], tmp_path / 'b.jpg', upscaler=upscaler)
    large = dict(sources=[tmp_path / 'b.jpg'], out=tmp_path / 'c.jpg', progress=False)  # that it was enlarged stays
    assert color_files(colorizer, **large).done and color_files(colorizer, **large).skipped
    other = replace(colorizer, provenance=dict(model='lite', sha256='1' * 64))
    assert color_files(other, [tmp_path / 'a.jpg'], out, progress=False).redone
    said = colorlab('colorize', tmp_path / 'a.jpg', '--out', out).stdout
    assert said.endswith('(1 again, with other options)\n')
    shutil.copy(out / 'a.jpg', tmp_path / 'grandmother.jpg')  # whatever its name, it says that it was colored
    found = color_files(colorizer, [tmp_path / 'grandmother.jpg'], progress=False)
    assert found.skipped and 'was colored by the model lite already' in found.messages[0]
    assert not (tmp_path / 'grandmother.colored.jpg').exists()


def test_what_others_made_is_not_written_over(photos, tmp_path):
    photo, out = next(photos.rglob('*.jpg')), tmp_path / 'out'
    out.mkdir()
    (out / photo.name).write_text('a letter')
    done = colorlab('colorize', photo, '--out', out, check=False)
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and '--force to write over it' in done.stderr
    assert (out / photo.name).read_text() == 'a letter'
    colorlab('colorize', photo, '--out', out, '--force')
    assert read_provenance(out / photo.name)['model'] == 'lite'


def test_one_photo_may_be_given_its_name(photos, tmp_path):
    photo, new = next(photos.rglob('*.jpg')), tmp_path / 'new' / 'Oma.jpeg'
    assert f'1 photo colored into {new}\n' == colorlab('colorize', photo, '--out', new).stdout
    assert read_provenance(new)['model'] == 'lite'
    assert '1 already done' in colorlab('colorize', photo, '--out', new).stdout

    def refused(words, *sources, out):
        done = colorlab('colorize', *sources, '--out', out, check=False)
        assert done.returncode == 1 and done.stderr.count('\n') == 1 and words in done.stderr, done.stderr

    refused('a photo keeps its format: give a name that ends in .jpg', photo, out=tmp_path / 'new.png')
    refused('is a file; give a folder', photos, out=new)
    (tmp_path / 'notes.txt').touch()
    refused('is a file; give a folder', photo, out=tmp_path / 'notes.txt')
    refused('would be written over', photo, out=photo)


def test_messages_of_the_library_name_arguments(photos, tmp_path):
    "Of the command, options."
    photo = next(photos.rglob('*.jpg'))
    with pytest.raises(BadInput, match='raise `max_pixels`'):
        read_photo(photo, max_pixels=100)
    colorizer = Colorizer.from_pretrained('lite')
    got = color_files(colorizer, [photo], tmp_path / 'out', uncertainty=True, progress=False)
    assert 'say so: `hints` ' in got.messages[0]
    said = colorlab('colorize', photo, '--out', tmp_path / 'out', '--uncertainty', '--force').stdout
    assert 'say so: --hint ' in said
    with pytest.raises(BadInput, match='`upscaler`'):
        color_files(colorizer, [photo], tmp_path, upscaler=True, uncertainty=True)


def test_killed_and_begun_again_does_every_photo_once(photos, tmp_path):
    command = ['colorize', photos, '--out', tmp_path / 'out']
    running = Running(*command)
    running.wait_for(lambda: [*(tmp_path / 'out').rglob('*.jpg')])
    time.sleep(random.Random(1).uniform(0, 0.2))
    running.end(signal.SIGKILL)
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').rglob('*.jpg') if not p.name.startswith('.')}
    for p in done:
        Image.open(p).load()  # whole, every one of them
    colorlab(*command)
    assert all(p.stat().st_mtime_ns == t for p, t in done.items())
    assert len([p for p in (tmp_path / 'out').rglob('*.jpg') if not p.name.startswith('.')]) == 24


def test_thousands_of_mutated_files_give_no_traceback():
    done = subprocess.run([sys.executable, root / 'tests' / 'fuzz.py', '1100'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
