"What a photo file says besides its pixels: kept to the byte, made true, or left out, in every format."

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imagecodecs import png_encode
from PIL import Image, PngImagePlugin

from colorlab.decoding import decode, png_chunk
from colorlab.exif import segment
from colorlab.formats import BadInput, register_heic
from colorlab.metadata import add_provenance, parse_xmp, read_metadata, read_provenance, xmp_properties
from colorlab.photo import decode_photo, read_photo, write_photo

MADE_BY = dict(model='demo', sha256='0' * 64)
TEXTS = {0x010E: 'Großmutter 1936, Kraków', 0x013B: 'José Müller', 0x8298: '© 2024 記録'}
LYING = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def gray(kind=np.uint8, width=64, height=48):
    y, x = np.mgrid[0:height, 0:width]
    values = (x + 2 * y) / (width + 2 * height)
    return values.astype(kind) if kind == np.float32 else (values * np.iinfo(kind).max).round().astype(kind)


def written(file, name='out', **made_by):
    "The path of the same photo, written again; its pixels as they were."
    path = file.with_name(f'{name}-{file.name}')
    assert write_photo(read_photo(file), path, MADE_BY | made_by) == []
    assert read_provenance(path)['model'] == 'demo'
    return path


def texts_of(path):
    "The texts of EXIF, as bytes: of a file, or of the tags of a TIFF."
    meta = read_metadata(path.read_bytes(), decode(path.read_bytes()).format)
    if 'tags' in meta:
        return {tag: value.rstrip(b'\0') for tag, _, _, value in meta['tags'] if tag in TEXTS}
    found = Image.Exif()
    found.load(meta['exif'])
    return {tag: found[tag].encode('latin-1') for tag in TEXTS}


def small_files(folder):
    "One photo of every format and depth that can say something, with texts in many alphabets."
    register_heic()
    exif = Image.Exif()
    for tag, text in TEXTS.items():
        exif[tag] = text.encode()
    body = exif.tobytes()
    img = Image.fromarray(gray())
    for name in ('a.jpg', 'a.png', 'a.webp', 'a.avif', 'a.heic'):
        img.save(folder / name, exif=body)
    deep = png_encode(gray(np.uint16))
    chunk = png_chunk(b'eXIf', body.removeprefix(b'Exif\0\0'))
    (folder / '16.png').write_bytes(deep[:33] + chunk + deep[33:])
    tags = [(tag, 2, 0, text.encode() + b'\0', True) for tag, text in TEXTS.items()]
    for kind, order in ((np.uint8, '<'), (np.uint16, '>'), (np.float32, '<')):
        name = f'{kind.__name__}.tif'
        tifffile.imwrite(folder / name, gray(kind), byteorder=order, extratags=tags, metadata=None, software=False)
    tifffile.imwrite(folder / 'big.tif', gray(), bigtiff=True, extratags=tags, metadata=None, software=False)
    return sorted(folder.iterdir())


def test_texts_in_every_alphabet_stay_in_every_format(tmp_path):
    pytest.importorskip('pillow_heif')
    for file in small_files(tmp_path):
        assert texts_of(written(file)) == {tag: text.encode() for tag, text in TEXTS.items()}, file.name


def test_the_same_photo_twice_gives_the_same_bytes(tmp_path):
    for file in small_files(tmp_path):
        assert written(file).read_bytes() == written(file, 'again').read_bytes(), file.name


def test_a_photo_is_turned_once_whatever_says_how_it_lies(tmp_path):
    "XMP went on saying 6, so that viewers, and a second run of ours, turned it again."
    lying = Image.fromarray(np.rot90(gray()))
    exif = Image.Exif()
    exif[0x0112] = 6
    said = dict(exif=exif.tobytes(), xmp=LYING.encode())
    text = PngImagePlugin.PngInfo()
    text.add_itxt('XML:com.adobe.xmp', LYING)
    for name, options in (('exif', dict(exif=said['exif'])), ('xmp', dict(xmp=said['xmp'])), ('both', said)):
        lying.save(tmp_path / f'{name}.jpg', quality=95, **options)
        lying.save(tmp_path / f'{name}.webp', lossless=True, **options)
        rest = dict(pnginfo=text) if 'xmp' in options else {}
        lying.save(tmp_path / f'{name}.png', **rest, **({k: v for k, v in options.items() if k == 'exif'}))
        tags = {700: said['xmp']} if 'xmp' in options else {}
        lying.save(tmp_path / f'{name}.tif', tiffinfo=tags | ({274: 6} if 'exif' in options else {}))
    for file in sorted(tmp_path.iterdir()):
        again = written(written(file))
        found = read_photo(again)
        assert found.pixels.shape == (48, 64, 3), file.name
        assert np.abs(found.pixels[..., 0].astype(int) - gray()).max() < 12, file.name
        assert b'Orientation="6"' not in again.read_bytes()
        with Image.open(again) as img:
            assert img.getexif().get(0x0112, 1) == 1, file.name


def test_texts_resolution_and_dates_of_a_png_stay(tmp_path):
    chunks = [(b'tEXt', b'Title\0Lake'), (b'tEXt', b'Comment\0box 7'), (b'pHYs', struct.pack('>IIB', 23622, 23622, 1))]
    chunks += [(b'iTXt', b'Caption\0\0\0\0\0' + 'Großmutter'.encode()), (b'tIME', bytes([7, 144, 5, 1, 12, 0, 0]))]
    stale = [(b'bKGD', bytes(2)), (b'hIST', bytes(2)), (b'gAMA', struct.pack('>I', 45_455))]
    for kind in (np.uint8, np.uint16):
        data = png_encode(gray(kind))
        said = b''.join(png_chunk(*chunk) for chunk in chunks + stale[2:])
        (tmp_path / 'a.png').write_bytes(data[:33] + said + data[33:])
        after = written(tmp_path / 'a.png').read_bytes()
        assert read_metadata(after, 'PNG')['chunks'] == chunks
        assert not any(name in after for name, _ in stale)


def test_thumbnails_and_second_pictures_go(tmp_path):
    "They show the photo before it was colored: in EXIF, in Photoshop's pieces, in XMP, behind the photo."
    small = io.BytesIO()
    Image.fromarray(gray(width=16, height=12)).save(small, 'JPEG')
    body = small.getvalue()
    second = struct.pack('<HHHIIHHII', 2, 513, 4, 1, 56, 514, 4, 1, len(body)) + bytes(4)
    exif = b'Exif\0\0II*\0' + struct.pack('<IHHHII', 8, 1, 0x0112, 3, 1, 6) + struct.pack('<I', 26) + second + body
    piece = b'8BIM' + struct.pack('>HHI', 1036, 0, len(body)) + body + bytes(len(body) % 2)
    caption = b'8BIM' + struct.pack('>HHI', 1028, 0, 4) + b'Oma!'
    pieces = b'Photoshop 3.0\0' + piece + caption
    map_ = '{http://ns.adobe.com/hdr-gain-map/1.0/}Version'
    xmp = add_provenance(None, {}).replace(
        b'rdf:about=""', b'rdf:about="" xmlns:h="%s" h:Version="1.0"' % map_[1:38].encode()
    )
    two = dict(save_all=True, append_images=[Image.fromarray(gray(width=16, height=12))])
    Image.fromarray(np.rot90(gray())).save(tmp_path / 'a.jpg', 'MPO', quality=95, exif=exif, xmp=xmp, **two)
    data = (tmp_path / 'a.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(data[:2] + segment(0xED, b'', pieces) + data[2:])
    assert map_ in xmp_properties(parse_xmp(read_metadata((tmp_path / 'a.jpg').read_bytes(), 'JPEG')['xmp']))
    after = written(tmp_path / 'a.jpg').read_bytes()
    assert after.count(b'\xff\xd8\xff') == 1 and caption in after and piece not in after
    assert b'hdr-gain-map' not in after and b'MPF' not in after
    assert 'exif' not in read_metadata(after, 'JPEG')  # nothing else was in it


def odd_exif(entries, extra=b'', next_=0, n=None):
    table = b''.join(struct.pack('<HHI', *entry[:3]) + entry[3].ljust(4, b'\0') for entry in entries)
    n = len(entries) if n is None else n
    return b'Exif\0\0II*\0' + struct.pack('<IH', 8, n) + table + struct.pack('<I', next_) + extra


def place(n):  # behind a directory of so many entries
    return struct.pack('<I', 8 + 2 + 12 * n + 4)


ODD = {
    'orientation 0': odd_exif([(0x112, 3, 1, b'\0\0')]),
    'orientation 9': odd_exif([(0x112, 3, 1, b'\x09\0')]),
    'orientation as text': odd_exif([(0x112, 2, 2, b'6\0')]),
    'resolution 0/0': odd_exif([(0x11A, 5, 1, place(1))], bytes(8)),
    'GPS nowhere': odd_exif([(0x10F, 2, 4, b'abc'), (0x8825, 4, 1, b'\xff\xff\xff')]),
    'EXIF nowhere': odd_exif([(0x8769, 4, 1, b'\0\0\1\0')]),
    'EXIF in a circle': odd_exif([(0x8769, 4, 1, b'\x08')]),
    'EXIF as text': odd_exif([(0x8769, 2, 4, b'26')]),
    'next in a circle': odd_exif([(0x10F, 2, 4, b'abc')], next_=8),
    'UTF-8 of EXIF 3.0': odd_exif([(0x10E, 129, 12, place(1))], 'Großmutter'.encode() + b'\0'),
    'claims 60,000 tags': odd_exif([(0x10F, 2, 4, b'abc')], n=60_000),
    'an empty date': odd_exif([(0x132, 2, 0, b'')]),
    'an unknown type': odd_exif([(0x10F, 77, 1, b'\x05')]),
    'a huge count': odd_exif([(0x10F, 2, 0xFFFFFFF0, b'\x08')]),
    'a date of bytes': odd_exif([(0x132, 7, 4, b'\xff\xfe\0a')]),
    'a description of numbers': odd_exif([(0x10E, 3, 2, b'A\0B\0')]),
    'text in a size': odd_exif([(0x100, 2, 4, b'abc'), (0x101, 2, 4, b'abc')]),
    'only a head': b'Exif\0\0II*\0',
    'nothing': b'Exif\0\0',
    'garbage': b'Exif\0\0' + bytes(range(200)),
}


@pytest.mark.parametrize('what', ODD)
def test_odd_exif_costs_no_photo_and_stays_as_it_was(what, tmp_path):
    for name, options in (('a.jpg', dict(quality=95)), ('a.webp', dict(lossless=True)), ('a.png', {})):
        Image.fromarray(gray()).save(tmp_path / name, exif=ODD[what], **options)
        after = written(tmp_path / name)
        assert np.abs(read_photo(after).pixels[..., 0].astype(int) - gray()).max() < 12
    gone = what in ('only a head', 'nothing', 'garbage') or what.startswith('orientation') or what == 'text in a size'
    found = read_metadata((tmp_path / 'out-a.jpg').read_bytes(), 'JPEG').get('exif')
    assert (found == ODD[what][6:]) == (not gone)


def test_what_is_longer_than_a_segment_stays(tmp_path):
    "EXIF of 90 kB came in several segments, and XMP filled one of 64 kB."
    exif = Image.Exif()
    exif[0x010F] = 'Maker'
    exif.get_ifd(0x8769)[0x927C] = bytes(range(256)) * 350
    body = exif.tobytes().removeprefix(b'Exif\0\0')
    Image.fromarray(gray()).save(tmp_path / 'a.jpg', quality=95)
    data, parts = (tmp_path / 'a.jpg').read_bytes(), b''
    for first in range(0, len(body), 65_000):
        part = b'Exif\0\0' + body[first : first + 65_000]
        parts += b'\xff\xe1' + struct.pack('>H', len(part) + 2) + part
    xmp = b'http://ns.adobe.com/xap/1.0/\0' + LYING.replace('6', '1').encode()
    xmp = xmp.replace(
        b'<rdf:Description', b'<!--' + b'edited, ' * 8100 + b'--><rdf:Description xmlns:dc="d" dc:a="%s"' % (b'x' * 200)
    )
    parts += b'\xff\xe1' + struct.pack('>H', len(xmp) + 2) + xmp
    (tmp_path / 'a.jpg').write_bytes(data[:2] + parts + data[2:])
    assert read_metadata((tmp_path / 'a.jpg').read_bytes(), 'JPEG')['exif'] == body
    meta = read_metadata(written(tmp_path / 'a.jpg').read_bytes(), 'JPEG')
    assert meta['exif'] == body
    assert xmp_properties(parse_xmp(meta['xmp']))['{d}a'] == 'x' * 200


def test_xmp_of_any_depth_is_one_photo(tmp_path):
    "Elements 5,000 deep were a RecursionError."
    for xmp in (b'<x>' * 5000 + b'</x>' * 5000, b'<torn', b'\xff\xfe<\0x\0'):
        Image.fromarray(gray()).save(tmp_path / 'a.jpg', xmp=xmp)
        assert read_provenance(written(tmp_path / 'a.jpg'))['model'] == 'demo'


def test_strange_resolutions_of_a_tiff_stay(tmp_path):
    pairs = [(0, 0), (300, 0), (118, 1), (4294967295, 1)]
    for kind, pair, unit in [(kind, pair, unit) for kind in (np.uint8, np.uint16) for pair in pairs for unit in (2, 3)]:
        tifffile.imwrite(tmp_path / 'a.tif', gray(kind), resolution=(9, 8), resolutionunit=unit, metadata=None)
        data = (tmp_path / 'a.tif').read_bytes()
        assert data.count(struct.pack('<II', 9, 1)) == 1
        data = data.replace(struct.pack('<II', 9, 1), struct.pack('<II', *pair))
        (tmp_path / 'a.tif').write_bytes(data)
        with tifffile.TiffFile(written(tmp_path / 'a.tif')) as tiff:
            tags = tiff.pages.first.tags
            assert (tags[282].value, tags[283].value, tags[296].value) == (pair, (8, 1), unit)


def test_the_density_of_a_jpeg_is_not_made_up(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = 'Maker'
    Image.fromarray(gray()).save(tmp_path / 'a.jpg', exif=exif.tobytes())
    before = read_metadata((tmp_path / 'a.jpg').read_bytes(), 'JPEG')
    after = read_metadata(written(tmp_path / 'a.jpg').read_bytes(), 'JPEG')
    assert before['density'] == after['density'] == bytes([0, 0, 1, 0, 1])


def test_a_mark_that_cannot_be_written_is_no_silent_loss(tmp_path, monkeypatch):
    Image.fromarray(gray()).save(tmp_path / 'a.png')
    monkeypatch.setattr('colorlab.photo.xmp_provenance', lambda xmp: None)
    with pytest.raises(BadInput, match='how its colors were made'):
        write_photo(decode_photo((tmp_path / 'a.png').read_bytes()), tmp_path / 'b.png', MADE_BY)
    assert not (tmp_path / 'b.png').exists()


def listing(*folders):
    "All that exiftool finds in the files of folders: for each folder, name -> facts."
    command = ['exiftool', '-json', '-a', '-G1', '-s', '-q', *map(str, folders)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return [
        {Path(f['SourceFile']).name: f for f in found if Path(f['SourceFile']).parent == place} for place in folders
    ]


# how the pixels are stored, and what exiftool says of itself
CHANGED = 'File:File System: ExifTool: Composite: ICC SourceFile RIFF: File:Color File:YCbCr'.split()
CHANGED += 'PNG:BitDepth PNG:ColorType PNG:Filter BitsPerSample PhotometricInterpretation SamplesPerPixel'.split()
CHANGED += 'Strip RowsPer Compression Predictor Sample ColorSpace Orientation PlanarConfiguration Tile'.split()
CHANGED += 'IFD0:ImageWidth IFD0:ImageHeight ExtraSamples'.split()


@pytest.mark.skipif(not shutil.which('exiftool'), reason='exiftool is not installed')
def test_exiftool_finds_afterwards_all_that_it_found_before(tmp_path):
    before, after = tmp_path / 'before', tmp_path / 'after'
    before.mkdir()
    after.mkdir()
    for name, kind in (('8.tif', np.uint8), ('16.tif', np.uint16), ('f.tif', np.float32)):
        tifffile.imwrite(before / name, gray(kind), resolution=(600, 600), resolutionunit='INCH', metadata=None)
    (before / '16.png').write_bytes(png_encode(gray(np.uint16)))
    for name in ('a.jpg', 'a.png', 'a.webp'):
        Image.fromarray(gray()).save(before / name)
    said = '-Make=Epson|-Model=V600|-DateTimeOriginal=1936:05:01 12:00:00|-GPSLatitude=48.1|-GPSLatitudeRef=N'
    said += (
        '|-EXIF:ImageDescription=am Grünsee|-Artist=José|-EXIF:Copyright=© free|-XMP-dc:Title=Lake|-XMP-xmp:Rating=4'
    )
    said += '|-XMP-dc:Subject=family|-XMP-photoshop:City=Kraków|-EXIF:XResolution=600|-EXIF:UserComment=Oma'
    said += '|-PNG:Author=A. Person|-PNG:Title=Lake|-IFD0:DocumentName=album|-IFD0:PageName=p1'
    more = '-IPTC:Caption-Abstract=lake|-IPTC:Keywords=family|-Photoshop:URL=http://a.b|-Comment=box 7'
    some = [str(before / name) for name in ('a.jpg', '8.tif', '16.tif')]
    command = ['exiftool', *said.split('|'), str(before), '-execute', *more.split('|'), *some]
    command += ['-common_args', '-q', '-m', '-overwrite_original']
    subprocess.run(command, check=True)
    for file in before.iterdir():
        assert write_photo(read_photo(file), after / file.name, MADE_BY) == []
    found, kept = listing(before, after)
    assert len(found) == 7
    for name, facts in found.items():
        facts = {k: v for k, v in facts.items() if not any(word in k for word in CHANGED)}
        assert len(facts) > 20, name
        lost = {k: (v, kept[name].get(k)) for k, v in facts.items() if kept[name].get(k) != v}
        assert not lost, (name, lost)
        assert not [k for k in kept[name] if k.startswith('ExifTool:Warning')], name


def test_metadata_that_cannot_be_read_cost_no_photo(tmp_path, monkeypatch):
    Image.fromarray(gray()).save(tmp_path / 'a.png')
    data = (tmp_path / 'a.png').read_bytes()
    for head in (b'XML:com.adobe.xmp\0\1\0\0\0', b'Raw profile type exif\0\0'):
        chunk = png_chunk(b'iTXt' if head.startswith(b'XML') else b'tEXt', head + b'rubbish')
        (tmp_path / 'a.png').write_bytes(data[:-12] + chunk + data[-12:])
        try:
            assert (read_photo(written(tmp_path / 'a.png')).pixels[..., 0] == gray()).all()
        except BadInput as e:  # of Pillow
            assert 'zlib' in str(e) or 'compress' in str(e), e
    monkeypatch.setattr('colorlab.photo.read_metadata', lambda *_: 1 / 0)
    assert write_photo(read_photo(tmp_path / 'a.png'), tmp_path / 'b.png', MADE_BY) == ['what it said besides']
