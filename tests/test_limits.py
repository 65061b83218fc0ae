"What one file may cost that somebody made to cost much: seconds, some memory, and one line or the right picture."

import io
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from colorlab.cache import read_pixels
from colorlab.decoding import png_chunk
from colorlab.doctor import diagnose, findings_text
from colorlab.formats import BadInput
from colorlab.metadata import read_provenance
from colorlab.photo import read_photo

GRAY = Image.linear_gradient('L').resize((96, 64))


def encoded(format, img=GRAY, **options):
    file = io.BytesIO()
    img.save(file, format, **options)
    return file.getvalue()


def with_scans(n):
    "A progressive JPEG that goes over its picture n times more."
    data = encoded('JPEG', progressive=True)
    return data[:-2] + data[data.rindex(b'\xff\xda') : -2] * n + data[-2:]


def page(following, subfiletype=0, **tags):
    "The directory of a TIFF's page of one gray pixel, which stands in the header."
    entries = {254: subfiletype, 256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 4, 277: 1, 278: 1, 279: 1}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    table = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in entries.items())
    return struct.pack('<H', len(entries)) + table + struct.pack('<I', following)


SIZE = len(page(0))
TIFF = b'II*\0' + struct.pack('<I', 8)


def pages(n, subfiletype=0):
    table = np.frombuffer(page(0, subfiletype) * n, np.uint8).reshape(n, SIZE).copy()
    following = (8 + SIZE * np.arange(1, n + 1)).astype('<u4')
    following[-1] = 0
    table[:, -4:] = following.view(np.uint8).reshape(n, 4)
    return TIFF + table.tobytes()


def png(*chunks):
    data = encoded('PNG')
    return data[:33] + b''.join(png_chunk(name, body) for name, body in chunks) + data[33:]


def packed(megabytes):
    "Zeros, a thousandth as long."
    packer, million = zlib.compressobj(9), bytes(2**20)
    return b''.join(packer.compress(million) for _ in range(megabytes)) + packer.flush()


def gif(n):
    "A GIF of n frames."
    data = encoded('GIF')
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)  # behind the palette
    return data[:start] + data[start:-1] * n + data[-1:]


def webp(n):
    "A WebP of n frames."
    data = encoded('WEBP', save_all=True, append_images=[GRAY.transpose(Image.Transpose.ROTATE_180)])
    at = data.rindex(b'ANMF')
    body = data[8:at] + data[at:] * (n - 1)
    return b'RIFF' + struct.pack('<I', len(body)) + body


def apng(n):
    "A PNG of n frames."
    data = encoded('PNG')
    at, end = data.index(b'IDAT') - 4, data.index(b'IEND') - 4
    pixels = data[at + 8 : end - 4]
    control = struct.pack('>IIIIHHBB', *GRAY.size, 0, 0, 1, 25, 0, 0)
    chunks = [(b'acTL', struct.pack('>II', n, 0)), (b'fcTL', bytes(4) + control), (b'IDAT', pixels)]
    for i in range(1, 2 * n - 1, 2):
        chunks += [(b'fcTL', struct.pack('>I', i) + control), (b'fdAT', struct.pack('>I', i + 1) + pixels)]
    return data[:33] + b''.join(png_chunk(*chunk) for chunk in chunks) + data[end:]


@pytest.fixture
def cheap():
    "What a test may cost, whatever others do on this machine."
    began, held = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < 10, 'seconds'
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 500_000, 'kB'


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path, cheap):
    (tmp_path / 'many.jpg').write_bytes(with_scans(5000))
    (tmp_path / 'few.jpg').write_bytes(with_scans(50))
    with pytest.raises(BadInput, match='many.jpg: goes over its picture 5006 times'):
        read_photo(tmp_path / 'many.jpg')
    with pytest.raises(BadInput, match='many: goes over its picture'):
        read_pixels(with_scans(5000), 'many', 32)
    assert 'many.jpg (goes over its picture' in findings_text(diagnose(tmp_path))
    with Image.open(tmp_path / 'few.jpg') as img:
        assert (read_photo(tmp_path / 'few.jpg').pixels == np.asarray(img)[..., None]).all()


def test_a_jpeg_inside_of_a_tiff_has_the_same_limit(tmp_path, cheap):
    for n in (20, 5000):
        data = with_scans(n)
        tags = dict(_256=96, _257=64, _259=7, _273=8 + SIZE, _278=64, _279=len(data))
        (tmp_path / f'{n}.tif').write_bytes(TIFF + page(0, **tags) + data)
    assert read_photo(tmp_path / '20.tif').pixels.shape == (64, 96, 3)
    with pytest.raises(BadInput, match='goes over its picture 5006 times'):
        read_photo(tmp_path / '5000.tif')


def test_pages_without_end(tmp_path, cheap):
    "A chain that bites its tail holds as many pages as there are."
    loops = dict(one=page(8), two=page(8 + SIZE) + page(8), inside=page(0, _330=8), exif=page(0, _34665=8))
    for name, directories in loops.items():
        (tmp_path / f'{name}.tif').write_bytes(TIFF + directories)
    for name in ('one', 'inside', 'exif'):
        assert read_photo(tmp_path / f'{name}.tif').pixels.shape == (1, 1, 3), name
    with pytest.raises(BadInput, match='holds 2 pages'):
        read_photo(tmp_path / 'two.tif')
    (tmp_path / 'many.tif').write_bytes(pages(100_000))
    (tmp_path / 'previews.tif').write_bytes(pages(100_000, subfiletype=1))
    with pytest.raises(BadInput, match='holds 100 pages'):
        read_photo(tmp_path / 'many.tif')
    with pytest.raises(BadInput, match='only a preview'):
        read_photo(tmp_path / 'previews.tif')


def test_pngs_that_unpack_to_hundreds_of_megabytes(tmp_path, cheap):
    "Text, profile and XMP are a thousand times as long as the file."
    much = packed(200)
    chunks = dict(zTXt=b'Comment\0\0', iCCP=b'x\0\0', iTXt=b'XML:com.adobe.xmp\0\1\0\0\0')
    chunks['zTXt '] = b'Raw profile type exif\0\0'
    for name, head in chunks.items():
        (tmp_path / f'{name}.png').write_bytes(png((name[:4].encode(), head + much)))
        for ask in (read_photo, read_provenance):
            with pytest.raises(BadInput, match=f'{name}.png: cannot be read .Decompressed data too large[^\\n]*$'):
                ask(tmp_path / f'{name}.png')
    (tmp_path / 'text.png').write_bytes(png((b'tEXt', b'Comment\0' + bytes(32 * 2**20))))
    assert read_photo(tmp_path / 'text.png').pixels.shape == (64, 96, 3)


def test_films_of_ten_thousand_frames(tmp_path, cheap):
    "A film is no photo; who only looks gets its first frame."
    makers = dict(gif=gif, webp=webp, png=apng)
    for ending, make in makers.items():
        file = tmp_path / f'film.{ending}'
        file.write_bytes(make(10_000))
        with Image.open(file) as img:
            assert img.n_frames == 10_000
        with pytest.raises(BadInput, match='in GIF' if ending == 'gif' else 'holds 10000 pages or frames'):
            read_photo(file)
        first = read_pixels(file.read_bytes(), ending)
        assert np.abs(first[..., 0].astype(int) - np.asarray(GRAY)).max() < 20, ending
    assert 'cannot be read' not in findings_text(diagnose(tmp_path))
