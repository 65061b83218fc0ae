"""Pictures of every kind in memory, hints, and devices; what fails does so in one line."""

import io
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from conftest import sample
from PIL import Image

from colorlab import Colorizer, Hint
from colorlab.images import BadInput, assets_folder, open_photo
from colorlab.inputs import parse_hint, to_uint8
from colorlab.lab import rgb_to_lightness


@pytest.fixture(scope='module')
def colorizer():
    return Colorizer.from_pretrained('lite', device='cpu')


@pytest.fixture(scope='module')
def gray():
    "A gray photo of 8 bits."
    return open_photo(next(iter(sorted(sample.glob('scenes/*.jpg'))))).convert('L').resize((200, 150))


def lightness(picture):
    "L* of a picture or an array, as float32 (H, W)."
    a = np.asarray(picture)[..., :3]
    top = 1 if a.dtype.kind == 'f' else np.iinfo(a.dtype).max
    return rgb_to_lightness((a / top).astype(np.float32).transpose(2, 0, 1))[0]


def deep(gray):
    "The same with 16 bits."
    return Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)


KINDS = {
    'I;16': deep,
    'I;16B': lambda g: Image.frombytes(
        'I;16B', g.size, (np.asarray(g).astype(np.uint16) * 257).astype('>u2').tobytes()
    ),
    'I of 16 bits': lambda g: deep(g).convert('I'),
    'I of 8 bits': lambda g: g.convert('I'),
    'F in 0..1': lambda g: Image.fromarray((np.asarray(g) / 255).astype(np.float32)),
    'F in 0..255': lambda g: g.convert('F'),
} | {mode: lambda g, mode=mode: g.convert(mode) for mode in ('RGB', 'LA', 'P', 'RGBA', 'CMYK', 'YCbCr', 'HSV', 'LAB')}


@pytest.mark.parametrize('kind', KINDS)
def test_pictures_of_any_mode_keep_their_lightness(colorizer, gray, kind):
    "A 16-bit gray picture came out all white, one of floats all black."
    picture = KINDS[kind](gray)
    out = colorizer.colorize(picture)
    assert out.size == gray.size and out.mode == ('RGBA' if 'A' in kind[-1:] else 'RGB')
    want = lightness(picture.convert('RGB') if kind in ('HSV', 'LAB', 'YCbCr') else gray.convert('RGB'))
    assert np.abs(lightness(out) - want).mean() < 1.5
    assert np.ptp(np.asarray(out.convert('RGB')), axis=2).max() > 20  # and it has colors


def test_files_of_16_bits_and_of_floats(colorizer, gray, tmp_path):
    deep(gray).save(tmp_path / 'deep.png')
    Image.fromarray((np.asarray(gray) / 255).astype(np.float32)).save(tmp_path / 'floats.tif')
    for file in ('deep.png', 'floats.tif'):
        for picture in (tmp_path / file, str(tmp_path / file), Image.open(tmp_path / file)):
            out = colorizer(picture)
            assert out.mode == 'RGB' and np.abs(lightness(out) - lightness(gray.convert('RGB'))).mean() < 0.5


def test_arrays_come_back_as_they_were(colorizer, gray):
    g = np.asarray(gray)
    alpha = np.broadcast_to(np.arange(200, dtype=np.uint8), g.shape)
    for a in (g, g[..., None], np.dstack([g] * 3), np.dstack([g] * 3 + [alpha]), g.astype(np.uint16) * 257, g / 255):
        out = colorizer(a)
        assert out.dtype == a.dtype and out.shape == (*g.shape, 4 if a.shape[2:] == (4,) else 3)
        assert np.abs(lightness(out) - lightness(gray.convert('RGB'))).mean() < 0.5
    assert (colorizer(np.dstack([g] * 3 + [alpha]))[..., 3] == alpha).all()
    t = torch.tensor(g)[None] / 255
    out = colorizer(t)
    assert out.dtype == t.dtype and out.shape == (3, *g.shape)


def test_a_profile_counts_in_memory_as_in_a_file(colorizer, tmp_path):
    from PIL import ImageCms

    photo = open_photo(next(iter(sorted(sample.glob('scenes/*.jpg')))))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile('XYZ')).tobytes()
    photo.save(tmp_path / 'plain.png')
    assert np.array_equal(colorizer(tmp_path / 'plain.png'), colorizer(Image.open(tmp_path / 'plain.png')))
    photo.info['icc_profile'] = icc[:40]  # a damaged one says nothing
    assert np.array_equal(colorizer(photo), colorizer(tmp_path / 'plain.png'))


def test_what_is_no_picture_is_one_line(colorizer, tmp_path):
    (tmp_path / 'letter.png').write_text('Dear photo')
    whole = next(iter(sorted(sample.glob('scenes/*.jpg')))).read_bytes()
    torn = Image.open(io.BytesIO(whole[: len(whole) // 2]))  # nobody has looked at its pixels yet
    wrong = (
        tmp_path / 'letter.png',
        tmp_path / 'lost.png',
        tmp_path,
        None,
        b'',
        b'Dear photo',
        [[1, 2]],
        torch.zeros(7, 4, 4),
        torch.zeros(1, 3, 4, 4),
        torch.zeros(3, 4, 4, device='meta'),
        np.zeros((4, 4), complex),
        np.full((4, 4), 'x'),
        Image.new('L', (0, 5)),
        torn,
        np.zeros((4, 4, 7)),
        np.zeros((0, 3)),
        np.full((4, 4), 200.0),
        np.full((4, 4), np.nan),
        np.zeros((4, 4), int),
        Image.fromarray(np.full((4, 4), np.inf, np.float32)),
    )
    for thing in wrong:
        with pytest.raises(BadInput) as e:
            colorizer(thing)
        assert '\n' not in str(e.value) and len(str(e.value)) < 200


def test_bytes_open_files_and_odd_arrays_are_photos(colorizer, gray, tmp_path):
    gray.save(tmp_path / 'gray.png')
    want = np.asarray(colorizer(tmp_path / 'gray.png'))
    data = (tmp_path / 'gray.png').read_bytes()
    g = np.asarray(gray)
    with open(tmp_path / 'gray.png', 'rb') as file:
        for thing in (data, bytearray(data), io.BytesIO(data), file):
            out = colorizer(thing)
            assert out.mode == 'RGB' and np.array_equal(out, want)
    for a in (np.matrix(g), np.ma.array(g, mask=g > 250), np.asfortranarray(np.dstack([g] * 3)), g[::-1][::-1]):
        out = colorizer(a)
        assert type(out) in (np.ndarray,) and out.dtype == np.uint8 and np.array_equal(out, want)
    sparse = colorizer((torch.tensor(g) / 255).to_sparse())
    assert np.abs(np.moveaxis(sparse.to_dense().numpy(), 0, -1) * 255 - want).max() < 1


def chroma(picture):
    "How far a picture is from gray, 0..255."
    return np.ptp(np.asarray(picture).astype(int), axis=2)


@pytest.mark.parametrize('page', [0, 60, 110, 200, 255])
def test_a_page_stays_gray_and_takes_nothing_from_the_photo(colorizer, gray, page):
    "The page got a color and took half of the photo's."
    scan = Image.new('L', (800, 600), page)
    scan.paste(gray, (290, 190))
    out = np.asarray(colorizer(scan))
    around = np.ones((600, 800), bool)
    around[188:342, 288:492] = False
    assert chroma(out)[around].max() <= 1
    alone = chroma(colorizer(gray)).mean()
    assert chroma(out)[190:340, 290:490].mean() > 0.7 * alone
    assert np.abs(lightness(out) - lightness(scan.convert('RGB'))).mean() < 0.2


def test_tilted_prints_borders_in_borders_and_depths(colorizer, gray):
    noise = np.random.default_rng(42).normal(0, 2, (600, 800))
    page = Image.new('L', (800, 600), 70)
    white = Image.new('L', (240, 190), 245)  # a print with a border of its own
    white.paste(gray, (20, 20))
    page.paste(white, (60, 60))
    page.paste(gray.rotate(5, expand=True, fillcolor=70), (480, 330))
    deep = ((np.asarray(page) + noise).clip(0, 255) * 257).astype(np.uint16)
    out = to_uint8(colorizer(deep))
    assert chroma(out)[80:230, 80:280].mean() > 10 and chroma(out)[370:440, 520:640].mean() > 10
    assert chroma(out)[300:].mean(0)[:450].max() < 2 and chroma(out)[62:76, 70:290].mean() < 3
    hint = Hint(180, 150, '#d02020')
    red = colorizer(page, hints=[hint])
    assert np.asarray(red)[150, 180, 0] > np.asarray(red)[150, 180, 2] + 20
    assert chroma(red)[300:, :450].max() <= 1
    beside = colorizer(page, hints=[Hint(400, 30, '#d02020')])  # somebody wants the page red
    assert np.asarray(beside)[30, 400, 0] > np.asarray(beside)[30, 400, 2] + 20
    x, y = colorizer.suggest_hint_points(page.convert('RGB'))[0]
    assert np.asarray(page)[y, x] != 70


def test_hints_never_mix_with_predictions_made_without_them(colorizer, gray):
    "Predictions that were made without hints could be handed in together with hints."
    hint = [Hint(100, 75, '#d02020')]
    fresh = Colorizer.from_pretrained('lite')(gray, hints=hint)
    plain = colorizer(gray)
    assert np.array_equal(colorizer(gray, hints=hint), fresh) and np.array_equal(colorizer(gray), plain)
    assert not np.array_equal(plain, fresh)


def test_threads_may_share_a_colorizer(colorizer, gray):
    pictures = [gray, gray.transpose(Image.FLIP_LEFT_RIGHT), gray.rotate(180)]
    want = [np.asarray(colorizer(p)) for p in pictures]
    wrong = []

    def work(i):
        for _ in range(3):
            if not np.array_equal(colorizer(pictures[i]), want[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_shipped_model_needs_no_torch():
    code = """import sys, numpy as np
from colorlab import Colorizer
c = Colorizer.from_pretrained('lite', device='cpu')
assert c(np.zeros((40, 50), np.uint8)).shape == (40, 50, 3) and 'torch' not in sys.modules
print(c)"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == "Colorizer('lite', space=lab, size=160, onnx)\n"


@pytest.mark.parametrize('name, device', [('lite', None), ('lite', 'cpu'), ('copy.safetensors', 'cpu')])
def test_a_model_file_is_hashed_once(name, device, tmp_path, monkeypatch):
    "It was looked for twice, and hashed up to three times."
    from colorlab import backends

    hashed = []
    once = backends.file_sha256
    monkeypatch.setattr(backends, 'file_sha256', lambda file: hashed.append(file.name) or once(file))
    if name != 'lite':
        name = shutil.copy(assets_folder() / 'lite.safetensors', tmp_path / name)
    Colorizer.from_pretrained(name, device=device)
    assert hashed and len(hashed) == len(set(hashed))


def test_a_learner_becomes_a_colorizer(gray, tmp_path):
    from fastai.learner import Learner

    from colorlab.cnn import CNN
    from colorlab.export import colorizer_from_learner
    from colorlab.loaders import photo_loaders

    learn = Learner(photo_loaders(sample, size=32), CNN(), torch.nn.L1Loss())
    with pytest.raises(BadInput, match='model_spec'):
        colorizer_from_learner(learn)
    learn.model_spec = dict(arch='colorlab.cnn:CNN', args={}, space='lab', size=32)
    out = colorizer_from_learner(learn)
    out.save(tmp_path / 'cnn.safetensors')
    assert np.array_equal(out(gray), Colorizer.from_pretrained(tmp_path / 'cnn.safetensors', device='cpu')(gray))


def test_a_bfloat16_tensor_comes_back_as_one():
    photo = torch.rand(3, 40, 60).bfloat16()
    colored = Colorizer.from_pretrained('lite')(photo)
    assert colored.dtype == torch.bfloat16 and colored.shape == photo.shape


def test_a_wrong_color_of_a_hint_is_named():
    with pytest.raises(BadInput, match='foo'):
        parse_hint('1,2,foo')
