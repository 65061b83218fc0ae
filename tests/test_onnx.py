"""Every network of the reports as ONNX, through the real command; foreign files; a disk that fills."""

from inspect import signature

import onnx
import pytest
import torch
from conftest import colorlab
from PIL import Image
from test_cli import one_line

from colorlab.export import ONNX_TOLERANCE, export_onnx
from colorlab.model_files import create_model, resolve, save_model
from colorlab.recipes import network_settings


def saved(name, folder, space=None):
    "A network of the list, narrow and untrained, as a file."
    how = network_settings(name, space)
    args = how['args'] | ({'nf': 4} if 'nf' in signature(resolve(how['arch'])).parameters else {})
    torch.manual_seed(42)
    save_model(create_model(how['arch'], args), folder / f'{name}.safetensors', how['arch'], args, how['space'], 48)
    return folder / f'{name}.safetensors'


@pytest.mark.parametrize(
    'name',
    [
        'cnn',
        'autoencoder',
        'resnet',
        'unet',
        'lite0-unet',
        'r0-pix2pix',
        'r1-unet',
        'r2-autoencoder',
        'r3-unet',
        'r4-unet',
    ],
)
def test_networks_color_the_same_as_onnx(name, tmp_path):
    mean, largest = export_onnx(saved(name, tmp_path), tmp_path / 'a.onnx')
    assert mean <= ONNX_TOLERANCE[0] and largest <= ONNX_TOLERANCE[1] and (tmp_path / 'a.onnx').exists()


def test_what_onnx_cannot_say_is_one_line(tmp_path):
    one_line(
        colorlab('export', saved('koala', tmp_path), '--out', tmp_path / 'a.onnx', check=False),
        'koala:Koala cannot be written as ONNX',
    )
    assert not (tmp_path / 'a.onnx').exists()


def test_a_disk_that_fills_loses_nothing(light, photos, tmp_path):
    (tmp_path / 'a.onnx').write_text('fsync')
    full = dict(check=False, file_limit=100_000)
    one_line(colorlab('export', 'lite', '--out', tmp_path / 'a.onnx', **full), 'too large')
    assert (tmp_path / 'a.onnx').read_text() == 'fsync' and [f.name for f in tmp_path.glob('*.*')] + [
        f.name for f in tmp_path.glob('.*')
    ] == ['a.onnx']
    (tmp_path / 'box').mkdir()  # the result of the second photo has more than 100 kB
    for i, f in enumerate(sorted(photos.rglob('*.jpg'))[:2]):
        Image.open(f).resize([(100, 80), (1500, 1200)][i]).convert('L').save(tmp_path / 'box' / f'{i}.jpg')
    colorize = ['colorize', tmp_path / 'box', '--out', tmp_path / 'out', '--model', light]
    one_line(colorlab(*colorize, **full), 'too large')
    assert [f.name for f in (tmp_path / 'out').iterdir()] == ['0.jpg'] and Image.open(tmp_path / 'out' / '0.jpg').load()


def test_what_is_no_model_is_one_line(light, photos, tmp_path):
    def refused(model, *words):
        one_line(colorlab('colorize', photos, '--model', model, '--out', tmp_path / 'out', check=False), *words)

    (tmp_path / 'letter.onnx').write_text('Dear photo')
    refused(tmp_path / 'letter.onnx', 'letter.onnx', 'not a network')
    stranger = onnx.load(light)
    stranger.ClearField('metadata_props')
    onnx.save(stranger, tmp_path / 'stranger.onnx')
    refused(tmp_path / 'stranger.onnx', 'stranger.onnx', 'colorlab export')
    (tmp_path / 'torn.onnx').write_bytes(light.read_bytes()[:100_000])
    refused(tmp_path / 'torn.onnx', 'torn.onnx', 'not a network')
    refused(tmp_path / 'lost.onnx', 'lost.onnx', 'no such model')
    (tmp_path / 'empty').mkdir()
    one_line(
        colorlab('colorize', tmp_path / 'empty', '--model', light, '--out', tmp_path / 'out', check=False),
        'empty',
        'holds no photo',
    )
    for model, words in (('sr2', 'enlarges and colors nothing'), ('nobody', 'no such model')):
        one_line(colorlab('export', model, '--out', tmp_path / 'a.onnx', check=False), words)
    one_line(colorlab('export', 'lite', '--out', tmp_path / 'a.txt', check=False), 'ends in .onnx')
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'a.onnx').exists()
