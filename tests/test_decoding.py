"Every mode, depth, format and orientation of photo files, as libvips sees them, which shares no code with us."

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from imagecodecs import cms_profile, png_encode
from PIL import Image

from colorlab.cache import read_pixels
from colorlab.decoding import apply_orientation, convert, decode, png_chunk
from colorlab.formats import BadInput, register_heic
from colorlab.images import open_photo, open_small
from colorlab.inputs import to_photo
from colorlab.photo import read_photo, write_photo

register_heic()
pyvips = pytest.importorskip('pyvips', reason='pyvips is not installed')
KINDS = (np.uint8, np.uint16, np.float32)


def photo(width=40, height=28):
    "A small picture in color without a symmetry, float64 (H, W, 3) in 0..1."
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x / width, y / height, (x + y) % 11 / 11]) * 0.8 + 0.1


def stored(pixels, orientation):
    "As a file holds them, so that this orientation shows them upright."
    return apply_orientation(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def of_kind(pixels, kind):
    return pixels.astype(kind) if kind == np.float32 else (pixels * np.iinfo(kind).max).round().astype(kind)


def as_float(pixels):
    return pixels / (1 if pixels.dtype.kind == 'f' else np.iinfo(pixels.dtype).max)


def by_vips(data):
    "Upright sRGB, float (H, W, bands) in 0..1, as libvips reads it; without transparency."
    img = pyvips.Image.new_from_buffer(data, '').autorot()
    top = {'uchar': 255, 'ushort': 65535, 'float': 1, 'double': 1}[img.format]
    if img.interpretation in ('cmyk', 'lab', 'labs', 'labq'):
        img, top = img.colourspace('srgb'), 255
    pixels = np.asarray(img.numpy(), np.float64).reshape(img.height, img.width, -1)
    color = pixels[..., : 3 if pixels.shape[2] > 2 else 1] / top
    return np.repeat(color, 3, 2) if color.shape[2] == 1 else color


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def png(pixels, **chunks):
    data = png_encode(np.ascontiguousarray(pixels))
    return data[:33] + b''.join(png_chunk(name.encode(), body) for name, body in chunks.items()) + data[33:]


def pillow(pixels, format, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def exif(orientation):
    found = Image.Exif()
    found[274] = orientation
    return found.tobytes().removeprefix(b'Exif\0\0')


# mode -> pixels (H, W, channels) from float RGB
MODES = {
    'gray': lambda rgb: rgb[..., :1],
    'gray, alpha': lambda rgb: rgb[..., [0, 2]],
    'rgb': lambda rgb: rgb,
    'rgb, alpha': lambda rgb: np.dstack([rgb, rgb[..., 2]]),
}
LAYOUTS = {
    'plain': {},
    'big-endian': dict(byteorder='>'),
    'BigTIFF': dict(bigtiff=True),
    'tiles, LZW, predictor': dict(tile=(16, 16), compression='lzw', predictor=True),
    'channels apart, ZIP, predictor': dict(planarconfig='separate', compression='zlib', predictor=True),
    'strips, PackBits': dict(rowsperstrip=5, compression='packbits'),
}


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('mode', MODES)
def test_tiff_is_read_as_libvips_reads_it(mode, layout):
    rgb, options = photo(), LAYOUTS[layout]
    zero = ('minisblack', 'miniswhite') if mode == 'gray' else ('minisblack' if 'gray' in mode else 'rgb',)
    extra = dict(extrasamples=['unassalpha']) if 'alpha' in mode else {}
    for kind, orientation, photometric in itertools.product(KINDS, range(1, 9), zero):
        pixels = of_kind(stored(MODES[mode](rgb), orientation), kind)
        written = (1 if kind == np.float32 else np.iinfo(kind).max) - pixels if photometric == 'miniswhite' else pixels
        apart = options.get('planarconfig') == 'separate' and pixels.shape[2] > 1
        written = np.moveaxis(written, -1, 0) if apart else np.squeeze(written)
        how = {k: v for k, v in options.items() if apart or k != 'planarconfig'}
        tag = [(274, 3, 1, orientation, True)]
        data = tiff(written, photometric=photometric, extratags=tag, **how, **extra)
        picture, truth = decode(data), np.atleast_3d(as_float(of_kind(MODES[mode](rgb), kind)))
        where = f'{kind.__name__}, orientation {orientation}, {photometric}'
        assert (picture.pixels.dtype, picture.size) == (kind, (40, 28)), where
        assert np.abs(as_float(picture.pixels) - truth[..., : 3 if 'rgb' in mode else 1]).max() < 1e-6, where
        if 'alpha' in mode:
            assert np.abs(as_float(picture.alpha) - truth[..., -1]).max() < 1e-6, where
        negative = kind == np.float32 and photometric == 'miniswhite'
        if not negative and not (apart and 'gray' in mode):  # libvips reads these otherwise, and libtiff as we do
            assert np.abs(as_float(picture.pixels) - by_vips(data)).max() < 1e-3, where


@pytest.mark.parametrize('mode', MODES)
def test_other_formats_are_read_as_libvips_reads_them(mode, tmp_path):
    pytest.importorskip('pillow_heif')
    for orientation, kind in itertools.product(range(1, 9), (np.uint8, np.uint16)):
        pixels = of_kind(stored(MODES[mode](photo()), orientation), kind)
        files = dict(PNG=png(pixels, eXIf=exif(orientation)))
        if kind == np.uint8:
            said = dict(exif=b'Exif\0\0' + exif(orientation), quality=98)
            named = dict(WEBP=dict(lossless=True))
            if 'alpha' not in mode:
                named['JPEG'] = dict(subsampling=0)
            if orientation in (1, 6, 7):  # these take longer
                named |= dict(AVIF=dict(subsampling='4:4:4', speed=10), HEIF=dict(chroma=444))
            for format, options in named.items():
                files[format] = pillow(np.squeeze(pixels), format, **said, **options)
        for format, data in files.items():
            picture = decode(data)
            found = as_float(picture.pixels)
            where = f'{format}, {kind.__name__}, orientation {orientation}'
            truth = as_float(of_kind(MODES[mode](photo()), kind))
            near = dict(PNG=1e-6, WEBP=1e-6).get(format, 0.08)
            assert picture.format == format and found.shape == (28, 40, 3), where
            assert np.abs(found - truth[..., : 3 if 'rgb' in mode else 1]).max() < near, where
            if format != 'HEIF':  # whose patents keep it out of libvips
                assert np.abs(found - by_vips(data)).max() < near, where
            small = np.asarray(open_photo(io.BytesIO(data)))
            assert np.abs(small / 255 - found).max() < 1 / 255, where  # the same reader everywhere
            assert open_small(io.BytesIO(data), 8).size == (40, 28), where
            (tmp_path / 'a').write_bytes(data)
            photo_ = read_photo(tmp_path / 'a')
            assert (photo_.pixels == picture.pixels).all() and photo_.format == format, where
            write_photo(photo_, tmp_path / 'b')
            again = read_photo(tmp_path / 'b')  # upright now, and not turned a second time
            assert np.abs(as_float(again.pixels) - found).max() < near, where


@pytest.mark.parametrize('bits', [1, 2, 4, 10, 12, 14])
def test_few_and_odd_bits(bits):
    "Fax machines, old scanners and document cameras."
    values = np.random.default_rng(1).integers(0, 2**bits, (9, 13))
    rows = b''
    for row in values:
        text = ''.join(f'{value:0{bits}b}' for value in row)
        rows += int(text.ljust(-(-len(text) // 8) * 8, '0'), 2).to_bytes(-(-len(text) // 8))
    for photometric in (0, 1):
        entries = [(256, 13), (257, 9), (258, bits), (259, 1), (262, photometric), (273, 122), (277, 1), (278, 9)]
        entries.append((279, len(rows)))
        table = b''.join(struct.pack('<HHIHH', tag, 3, 1, value, 0) for tag, value in entries)
        data = b'II*\0' + struct.pack('<IH', 8, len(entries)) + table + bytes(4) + rows
        top = 255 if bits < 8 else 65535
        found = decode(data).pixels[..., 0] / top
        truth = values / (2**bits - 1)
        assert np.abs(found - (truth if photometric else 1 - truth)).max() < 1e-4


def test_faxes_have_the_right_polarity():
    img = Image.fromarray((photo(64, 48)[..., 0] > 0.5)).convert('1')
    for compression, photometric in itertools.product(('group3', 'group4', 'tiff_ccitt', 'raw'), (0, 1)):
        file = io.BytesIO()
        written = img if photometric else Image.eval(img.convert('L'), lambda v: 255 - v).convert('1')
        written.save(file, 'TIFF', compression=compression, tiffinfo={262: photometric})
        truth = by_vips(file.getvalue())
        assert np.abs(as_float(decode(file.getvalue()).pixels) - truth).max() == 0, (compression, photometric)


def test_inks_lab_and_palettes():
    rgb = photo()
    key = 1 - rgb[..., :1]
    for kind in (np.uint8, np.uint16):
        data = tiff(of_kind(np.dstack([0 * key] * 3 + [key]), kind), photometric='separated')
        picture = decode(data)
        assert picture.pixels.dtype == kind and np.abs(as_float(picture.pixels) - rgb[..., :1]).max() < 0.01
    lightness = np.linspace(0, 255, 40).round().astype(np.uint8)[None].repeat(28, 0)
    for kind, stored_lab in ((8, 0), (9, 128)):
        data = tiff(np.dstack([lightness, *[np.full_like(lightness, stored_lab)] * 2]), photometric=kind)
        found = as_float(decode(data).pixels)
        assert np.ptp(found, axis=2).max() < 0.01 and abs(found[0, 20, 0] - 0.477) < 0.01  # L* of 51
    levels = np.arange(256, dtype=np.uint16)
    index = of_kind(rgb[..., 0], np.uint8)
    for scale in (1, 257):  # some programs write 8 bits into a palette of 16
        palette = np.stack([levels, levels[::-1], levels]) * scale
        found = decode(tiff(index, photometric='palette', colormap=palette.astype(np.uint16))).pixels
        assert (found == np.dstack([index, 255 - index, index])).all()


def linear(x):
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def test_colors_are_judged_by_curves_and_not_by_names():
    "A linear profile called sRGB was taken for sRGB; gAMA, cHRM and cICP were passed over."
    rgb = photo()
    white, colors = [0.3127, 0.3290, 1], [0.64, 0.33, 1, 0.30, 0.60, 1, 0.15, 0.06, 1]
    icc = cms_profile('rgb', whitepoint=white, primaries=colors, gamma=1.0)
    named = icc.replace(b'RGB built-in', b'sRGB linear.'[:12]) if b'RGB built-in' in icc else icc
    for kind, near in ((np.uint8, 0.05), (np.uint16, 1e-3), (np.float32, 1e-4)):
        light = of_kind(linear(rgb), kind)
        files = [tiff(light, photometric='rgb', iccprofile=named)]
        files += [tiff(light[..., 0], photometric='minisblack', iccprofile=cms_profile('gray', gamma=1.0))]
        if kind != np.float32:
            files += [png(light, gAMA=struct.pack('>I', 100_000)), png(light, cICP=b'\1\x08\0\1')]
            files += [png(light[..., 0], gAMA=struct.pack('>I', 100_000))]
            files += [png(light, iCCP=b'sRGB\0\0' + zlib.compress(named), gAMA=struct.pack('>I', 45_455))]
        for data in files:
            picture = decode(data)
            gray = np.ptp(picture.pixels, axis=2).max() == 0
            assert np.abs(as_float(picture.pixels) - (rgb[..., :1] if gray else rgb)).max() < near
    assert (
        decode(png(of_kind(rgb, np.uint8), sRGB=b'\0', gAMA=struct.pack('>I', 100_000))).pixels
        == of_kind(rgb, np.uint8)
    ).all()


def test_the_same_profile_in_every_format_gives_the_same_colors():
    pytest.importorskip('pillow_heif')
    adobe, rgb = cms_profile('adobergb'), of_kind(photo(), np.uint8)
    truth = convert(rgb, adobe, 'rgb').astype(int)
    assert np.abs(truth - rgb).max() > 15
    files = [tiff(rgb, photometric='rgb', iccprofile=adobe), png(rgb, iCCP=b'a\0\0' + zlib.compress(adobe))]
    files += [pillow(rgb, 'WEBP', lossless=True, icc_profile=adobe)]
    files += [pillow(rgb, 'JPEG', quality=99, subsampling=0, icc_profile=adobe)]
    for data in files:
        assert np.abs(decode(data).pixels.astype(int) - truth).mean() < 2
        assert np.abs(np.asarray(to_photo(Image.open(io.BytesIO(data))).pixels).astype(int) - truth).mean() < 2
        assert np.abs(read_pixels(data, 'a').astype(int) - truth).mean() < 2  # as a training sees it


def test_raw_files_previews_and_pages(tmp_path):
    small, large = np.zeros((12, 16), np.uint8), np.full((48, 64), 99, np.uint8)
    with tifffile.TiffWriter(tmp_path / 'raw.tif') as writer:
        writer.write(small, subfiletype=1, subifds=1, metadata=None)
        writer.write(
            large,
            photometric=32803,
            metadata=None,
            extratags=[(33421, 3, 2, (2, 2), True), (33422, 1, 4, b'\0\1\1\2', True)],
        )
    with pytest.raises(BadInput, match='raw.tif: is a raw file.*develop it'):
        read_photo(tmp_path / 'raw.tif')
    with tifffile.TiffWriter(tmp_path / 'preview.tif') as writer:
        writer.write(small, subfiletype=1, metadata=None)
        writer.write(large, metadata=None)
        writer.write(small, subfiletype=1, metadata=None)
    assert read_photo(tmp_path / 'preview.tif').pixels.shape == (48, 64, 3)
    with tifffile.TiffWriter(tmp_path / 'two.tif') as writer:
        writer.write(large, metadata=None)
        writer.write(large[:20], metadata=None)
    with pytest.raises(BadInput, match='two.tif: holds 2 pages'):
        read_photo(tmp_path / 'two.tif')


def test_a_tag_that_is_there_twice_does_not_pass_the_limit(tmp_path):
    "One decoder saw 4 × 4 pixels, and another one 16,000 × 16,000."
    data = tiff(np.zeros((4, 4, 3), np.float32), photometric='rgb')
    at = int.from_bytes(data[4:8], 'little')
    n = int.from_bytes(data[at : at + 2], 'little')
    table = data[at + 2 : at + 2 + 12 * n]
    entries = [table[i : i + 12] for i in range(0, len(table), 12)]
    for extra in itertools.permutations([struct.pack('<HHII', tag, 4, 1, 16_000) for tag in (256, 257)]):
        for twice in ([*extra, *entries], [*entries, *extra]):
            directory = struct.pack('<H', len(twice)) + b''.join(twice) + bytes(4)
            bomb = data[:4] + struct.pack('<I', len(data)) + data[8:] + directory
            (tmp_path / 'a.tif').write_bytes(bomb)
            try:
                assert read_photo(tmp_path / 'a.tif', max_pixels=1000).pixels.shape == (4, 4, 3)
            except BadInput as e:
                assert 'megapixels' in str(e) or 'cannot be read' in str(e)
