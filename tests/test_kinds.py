"Kinds of files that people have, and that once went wrong or had no test: each is made here, and read or refused."

import io
import itertools
import struct
import sys

import numpy as np
import pytest
import tifffile
from imagecodecs import jpeg8_encode, jpegls_encode
from PIL import Image
from simplejpeg import encode_jpeg

from colorlab.cli import quiet_libraries, say
from colorlab.colorize import color_files
from colorlab.colorizer import Colorizer
from colorlab.decoding import decode, to_uint8
from colorlab.formats import BadInput, register_heic
from colorlab.images import open_photo, sample_folder
from colorlab.lab import LAB, lightness_error, rgb_to_lab
from colorlab.metadata import read_provenance
from colorlab.photo import read_photo

SCENE = sample_folder() / 'scenes' / 'lw-bridge.jpg'
colorizer = Colorizer(lambda x: np.full((1, 2, *x.shape[-2:]), 0.1, np.float32), LAB, 64, dict(model='m', sha256='0'))


@pytest.fixture(scope='module')
def rgb():  # uint8 (48, 64, 3)
    return np.asarray(open_photo(SCENE).resize((64, 48)))


def by_vips(data):
    "As libvips reads it: uint8 (H, W, 3)."
    pyvips = pytest.importorskip('pyvips', reason='pyvips is not installed')
    pixels = pyvips.Image.new_from_buffer(data, '').colourspace('srgb').numpy()
    return np.repeat(pixels.reshape(*pixels.shape[:2], -1), 3, 2)[..., :3] if pixels.ndim == 2 else pixels[..., :3]


def by_pillow(pixels, format, mode='RGB', **options):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize('compression', ['zstd', 'lzma', 'webp', 'jpeg2000', 'png', 'jpegxr', 'deflate', 'jpeg'])
def test_compressions_inside_of_a_tiff(compression, rgb):
    how = dict(compression=compression, compressionargs=dict(lossless=True) if compression == 'webp' else None)
    for pixels in (rgb, rgb[..., 1]):
        if compression == 'webp' and pixels.ndim == 2:
            continue  # which has no gray
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric='rgb' if pixels.ndim == 3 else 'minisblack', metadata=None, **how)
        found, truth = decode(file.getvalue()).pixels.astype(int), np.atleast_3d(pixels)
        assert np.abs(found - truth).mean() < (4 if compression in ('jpeg', 'jpegxr') else 1e-9)


def test_faxes_with_their_bits_reversed(rgb):
    "Tag 266: some machines send the last bit first."
    bit = Image.fromarray(rgb[..., 1]).convert('1')
    for compression, zero in itertools.product(('group3', 'group4'), (0, 1)):
        files = []
        for order in (1, 2):
            file = io.BytesIO()
            bit.save(file, 'TIFF', compression=compression, tiffinfo={262: zero, 266: order})
            files.append(file.getvalue())
        plain, last_first = (decode(data).pixels for data in files)
        assert files[0] != files[1] and (plain == last_first).all(), (compression, zero)
        assert (plain == by_vips(files[0])).all() and 0 < plain.mean() < 255, (compression, zero)


def test_jpegs_of_every_kind(rgb):
    whole = by_pillow(rgb, 'JPEG', quality=95)
    large = np.repeat(np.repeat(rgb, 4, 0), 4, 1)
    kinds = {
        'progressive': by_pillow(rgb, 'JPEG', quality=95, progressive=True),
        'RGB': by_pillow(rgb, 'JPEG', quality=95, keep_rgb=True),
        'inks': by_pillow(rgb, 'JPEG', 'CMYK', quality=95),
        '4:1:1': encode_jpeg(np.ascontiguousarray(large), quality=95, colorsubsampling='411'),
        '4:4:0': encode_jpeg(np.ascontiguousarray(large), quality=95, colorsubsampling='440'),
        'restart markers': by_pillow(large, 'JPEG', quality=95, restart_marker_blocks=3),
        'something behind': whole + bytes(5000) + b'hello',
        'two in one file': whole + whole,
        'lossless': jpeg8_encode(rgb, lossless=True),
    }
    for kind, data in kinds.items():
        found = decode(data).pixels.astype(int)
        want = large if found.shape == large.shape else rgb
        assert found.shape == want.shape and np.abs(found - want).mean() < 8, kind
        if kind not in ('inks', 'lossless'):  # of inks it makes other colors; it may lack the other
            assert np.abs(found - by_vips(data)).mean() < 1.5, kind


def test_jpegs_that_are_not_read_are_one_line(rgb, tmp_path):
    deep, whole = rgb.astype(np.uint16) * 16, by_pillow(np.repeat(rgb, 8, 0), 'JPEG', quality=95)
    kinds = {
        'twelve bits': (jpeg8_encode(deep, bitspersample=12), 'of a rare kind: save it anew'),
        'sixteen bits': (jpeg8_encode(deep, lossless=True, bitspersample=16), 'of a rare kind: save it anew'),
        'JPEG-LS': (jpegls_encode(rgb), 'of a rare kind: save it anew'),
        'torn': (whole[: len(whole) * 6 // 10], 'truncated'),
        'something in front': (b'\0\0' + whole, 'not a picture'),
    }
    for kind, (data, words) in kinds.items():
        (tmp_path / f'{kind}.jpg').write_bytes(data)
        with pytest.raises(BadInput, match=f'{kind}.jpg: .*{words}') as e:
            read_photo(tmp_path / f'{kind}.jpg')
        assert '\n' not in str(e.value)


def test_a_piece_that_claims_more_than_the_file_has(rgb, tmp_path):
    "Python made room for all of it before it read the first byte."
    data = by_pillow(rgb, 'JPEG2000')
    at = data.index(b'jp2h')
    claims = data[: at - 4] + (1).to_bytes(4) + b'jp2h' + (2**50).to_bytes(8) + data[at + 4 :]
    (tmp_path / 'a.jp2').write_bytes(claims)
    with pytest.raises(BadInput, match='a.jp2: cannot be read') as e:
        read_provenance(tmp_path / 'a.jp2')
    assert not isinstance(e.value.__cause__, MemoryError)


def test_a_width_of_two_numbers(tmp_path):
    "Python repeats a list as often as a height says, which may be two thousand million times."
    entries = [(256, 3, 2, (8, 8)), (257, 4, 1, 2**20), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 2**20), (279, 4, 1, 64)]
    table = b''
    for tag, kind, count, value in entries:
        table += struct.pack('<HHI', tag, kind, count)
        table += struct.pack('<HH', *value) if count == 2 else struct.pack('<I', value)
    data = b'II*\0' + struct.pack('<I', 72) + bytes(64) + struct.pack('<H', len(entries)) + table + bytes(4)
    (tmp_path / 'a.tif').write_bytes(data)
    for read in (read_photo, read_provenance):
        with pytest.raises(BadInput, match='a.tif: says no width'):
            read(tmp_path / 'a.tif')


def test_what_a_file_holds_counts_and_not_its_ending(rgb, tmp_path):
    pytest.importorskip('pillow_heif')
    register_heic()
    (tmp_path / 'in').mkdir()
    formats = dict(png='PNG', webp='WEBP', avif='AVIF', heic='HEIF', tif='TIFF', jpg='JPEG', bmp='BMP')
    for real, format in formats.items():
        name = f'{real}.{"png" if real == "jpg" else "jpg"}'
        Image.fromarray(rgb).save(tmp_path / 'in' / name, format, **(dict(speed=10) if real == 'avif' else {}))
    Image.fromarray(rgb).save(tmp_path / 'in' / 'LOUD.JPEG')
    Image.fromarray(rgb).save(tmp_path / 'in' / 'film.jpg', 'GIF')
    Image.fromarray(rgb).save(tmp_path / 'in' / 'noending', 'TIFF')
    got = color_files(colorizer, [tmp_path / 'in'], tmp_path / 'out', progress=False)
    assert sorted(read_photo(p).format for p in got.done) == sorted([*formats.values(), 'JPEG'])
    assert {p.name for p in got.done} == {p.name for p in (tmp_path / 'in').iterdir()} - {'film.jpg', 'noending'}
    assert len(got.failed) == 2 and all('\n' not in line for line in got.failed)
    assert 'noending; give another ending' in ' '.join(got.failed)
    assert 'film.jpg: colors cannot be kept in GIF: convert it to PNG first' in ' '.join(got.failed)


def test_shapes_and_looks_of_old_photos(rgb, tmp_path):
    "Panoramas, strips of one pixel, sepia, negatives, nothing but black: each keeps its size and its lightness."
    (tmp_path / 'in').mkdir()
    light = rgb[..., 1:2] / 255
    y, x = np.mgrid[0:48, 0:64]
    dots = np.where(rgb[..., 1] > 127 + 63 * (np.sin((x + y) * 0.9) + np.sin((x - y) * 0.9)), 255, 0)
    pictures = {
        'sepia': [255, 235, 200] * light * 0.9 + [40, 20, 0] * (1 - light),
        'cyanotype': [220, 240, 255] * light + [10, 30, 90] * (1 - light),
        'faded': rgb[..., 1] * 0.25 + 130,
        'negative': 255 - rgb[..., 1],
        'halftone': dots,
        'upside down': rgb[::-1, ::-1, 1],
        **{f'flat {v}': np.full((30, 40), v) for v in (0, 128, 255)},
        **{
            f'{h} × {w}': np.resize(rgb[..., 1], (h, w))
            for h, w in ((30, 600), (600, 30), (1, 3000), (3000, 1), (1, 1))
        },
    }
    for name, pixels in pictures.items():
        Image.fromarray(np.asarray(pixels).clip(0, 255).astype(np.uint8)).save(tmp_path / 'in' / f'{name}.png')
    got = color_files(colorizer, [tmp_path / 'in'], tmp_path / 'out', progress=False)
    assert got.failed == [] and len(got.done) == len(pictures)
    for name in pictures:
        before, after = (to_uint8(read_photo(tmp_path / d / f'{name}.png').pixels) for d in ('in', 'out'))
        assert before.shape == after.shape, name
        L = rgb_to_lab(before.transpose(2, 0, 1) / np.float32(255))[:1]
        assert lightness_error(after.transpose(2, 0, 1) / np.float32(255), L)[0] < 0.5, name


def test_a_deep_scan_keeps_its_depth_and_its_resolution(tmp_path):
    "As a scanner writes a page of an album, a twentieth as wide."
    y, x = np.mgrid[0:495, 0:350]
    scan = (30_000 + 20_000 * np.sin(x / 37) * np.cos(y / 29) + (7 * x + 13 * y) % 200).astype(np.uint16)
    said = dict(resolution=(600, 600), resolutionunit='INCH', compression='lzw', predictor=True, metadata=None)
    (tmp_path / 'in').mkdir()
    tifffile.imwrite(tmp_path / 'in' / 'page.tif', scan, photometric='minisblack', **said)
    assert color_files(colorizer, [tmp_path / 'in'], tmp_path / 'out', progress=False).failed == []
    before, after = (read_photo(tmp_path / d / 'page.tif') for d in ('in', 'out'))
    assert (before.pixels[..., 0] == scan).all() and after.pixels.dtype == np.uint16
    L = rgb_to_lab(before.pixels.transpose(2, 0, 1) / np.float32(65535))[:1]
    assert lightness_error(after.pixels.transpose(2, 0, 1) / np.float32(65535), L)[0] < 0.05
    with tifffile.TiffFile(tmp_path / 'out' / 'page.tif') as tiff:
        assert tiff.pages.first.resolution == (600, 600) and tiff.pages.first.resolutionunit == 2


@pytest.mark.parametrize('encoding', ['cp1252', 'ascii', 'utf-8'])
def test_a_console_of_another_alphabet_ends_no_command(encoding, monkeypatch):
    for name in ('stdout', 'stderr'):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding))
    monkeypatch.setenv('TQDM_DISABLE', '1')
    quiet_libraries()
    say('ΔE 2000 ↓ Кот.jpg é')
    sys.stdout.flush()
    said = sys.stdout.buffer.getvalue()
    assert b'2000' in said and said.endswith('é\n'.encode(encoding if encoding == 'cp1252' else 'utf-8'))
    assert (b'\\u0394E' in said) == (encoding == 'cp1252')  # under ASCII, click takes the bytes of UTF-8
