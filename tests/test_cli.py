"""The commands as scripts rely on them: real photos, real files, real processes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import colorlab
from PIL import Image

from colorlab.images import img_to_rgb
from colorlab.lab import lightness_error, rgb_to_lab


def one_line(done, *words):
    "The command failed with one line that holds these words."
    assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    "A short training of the CNN on the sample, by the command."
    out = tmp_path_factory.mktemp('runs') / 'run'
    colorlab(*'train --arch cnn --data sample --space lab --size 64 --epochs 2 --seed 0'.split(), '--out', out)
    return out


def test_train_leaves_model_and_history(run):
    assert len(pd.read_csv(run / 'history.csv')) == 2
    files = {p.name for p in run.iterdir()}
    assert {'model.safetensors', 'settings.json', 'manifest.csv', 'baselines.csv', 'curves.png'} <= files
    assert Image.open(run / 'samples' / 'epoch-0002.jpg').size[0] > 300


def test_rgb_space(photos, tmp_path):
    how = 'train --arch cnn --space rgb --size 64 --epochs 1 --bs 4'.split()
    colorlab(*how, '--data', photos, '--out', tmp_path / 'run')
    assert json.loads((tmp_path / 'run' / 'settings.json').read_text())['args'] == {'ni': 1, 'no': 3}
    done = colorlab('colorize', photos, '--model', tmp_path / 'run', '--out', tmp_path / 'out')
    assert '24 photos colored' in done.stdout


def test_an_existing_run_is_not_overwritten(run, photos):
    before = (run / 'model.safetensors').read_bytes()
    again = colorlab('train', '--data', photos, '--out', run, '--epochs', 1, check=False)
    one_line(again, 'holds a run already', '--resume')
    one_line(colorlab('train', '--out', run, '--resume', '--size', 72, check=False), 'started with size 64')
    assert (run / 'model.safetensors').read_bytes() == before
    colorlab('train', '--out', run, '--resume')  # complete: nothing to do
    assert (run / 'model.safetensors').read_bytes() == before


def test_colorize_keeps_size_lightness_and_shape_of_the_folder(run, photos, tmp_path):
    photo = Image.open(next(photos.rglob('*.jpg'))).convert('L')
    photo.resize((333, 500)).save(photos / 'b' / 'tall.png')
    done = colorlab('colorize', photos, '--model', run, '--out', tmp_path / 'out')
    assert '25 photos colored' in done.stdout
    before, after = ({p.relative_to(f) for p in f.rglob('*.*')} for f in (photos, tmp_path / 'out'))
    assert before == after
    colored, gray = Image.open(tmp_path / 'out' / 'b' / 'tall.png'), Image.open(photos / 'b' / 'tall.png')
    assert colored.size == gray.size and colored.format == 'PNG' and colored.mode == 'RGB'
    assert lightness_error(img_to_rgb(colored), rgb_to_lab(img_to_rgb(gray))[:1])[0] < 0.25
    assert np.ptp(np.asarray(colored), axis=2).max() > 5  # and there is color in it


def test_what_cannot_be_read_is_named_and_the_rest_done(run, photos, tmp_path):
    (photos / 'b' / 'torn.jpg').write_bytes(next(photos.rglob('*.jpg')).read_bytes()[:2000])
    (photos / 'letter.jpg').write_text('Dear photo')
    (photos / 'empty.png').touch()
    Image.effect_noise((200, 200), 50).save(photos / 'torn.tif', compression='tiff_lzw')
    torn = (photos / 'torn.tif').read_bytes()[:9000]  # libtiff would print a line of its own
    (photos / 'torn.tif').write_bytes(torn)
    done = colorlab('colorize', photos, '--model', run, '--out', tmp_path / 'out', check=False)
    assert done.returncode == 1 and '24 photos colored' in done.stdout and 'Traceback' not in done.stderr
    assert done.stderr.count('\n') == 4
    for name in ('torn.jpg', 'torn.tif', 'letter.jpg', 'empty.png'):
        assert sum(name in line for line in done.stderr.splitlines()) == 1
    again = colorlab('colorize', photos, '--model', run, '--out', tmp_path / 'out', check=False)
    assert '0 photos colored' in again.stdout and '24 already done' in again.stdout


def test_bad_input_is_one_line(run, photos, tmp_path):
    def colorize(*args):
        return colorlab('colorize', *args, '--out', tmp_path / 'o', check=False)

    def train(*args):
        return colorlab('train', '--data', photos, *args, '--out', tmp_path / 'r', check=False)

    one_line(colorize('nowhere'), 'nowhere')
    one_line(colorize(photos, '--model', 'nobody'), 'nobody', 'lite')
    one_line(colorize(photos, '--model', photos), 'there is no such model')
    one_line(colorize(photos, '--model', run / 'settings.json'), 'not a model file')
    one_line(train('--space', 'hsv'), 'hsv', 'lab, rgb')
    one_line(train('--arch', 'os:system'), 'no network')
    shutil.rmtree(photos)
    photos.mkdir()
    one_line(train(), 'holds no photo')
    assert not (tmp_path / 'r').exists()


def test_a_read_only_folder_and_a_full_disk_are_said(run, photos, tmp_path):
    full = '/dev/full'  # every write fails with "No space left on device"
    (tmp_path / 'out').mkdir()
    done = colorlab('train', '--data', photos, '--out', '/proc/run', '--epochs', 1, check=False)
    one_line(done, '/proc')
    done = colorlab('colorize', photos, '--model', run, '--out', full, check=False)
    one_line(done, full)


def test_presets_and_gans_by_the_command(photos, tmp_path):
    listed = colorlab('train', '--list').stdout
    for name in ('R0-lab', 'R4-cgan', 'r2-resnet', 'patch-94', 'R1.3'):
        assert name in listed
    common = ['train', '--data', photos, '--epochs', 1, '--bs', 5]
    gan = ['--preset', 'R2-autoencoder', '--size', 64, '--gan', 'lsgan', '--l1-weight', 10, '--out', tmp_path / 'gan']
    colorlab(*common, *gan)
    s = json.loads((tmp_path / 'gan' / 'settings.json').read_text())
    ((_, adversary),) = s['callbacks']
    same = [*common, *gan, '--resume']
    colorlab(*same)  # the same command goes on: here it is done already
    for left_out in ([], ['--gan', 'lsgan']):
        colorlab('train', *left_out, '--out', tmp_path / 'gan', '--resume')
    one_line(colorlab(*same, '--disc', 'mlp', check=False), 'was started with callbacks', 'start a new run')
    one_line(colorlab(*same, '--l1-weight', 7, check=False), 'was started with callbacks', 'start a new run')
    assert (s['arch'], s['size'], s['vflip']) == ('colorlab.cnn:Autoencoder', 64, 0.5)
    assert (adversary['loss'], adversary['l1_weight'], adversary['args']['ni']) == ('lsgan', 10, 3)
    assert {'adv_loss', 'd_loss'} <= set(pd.read_csv(tmp_path / 'gan' / 'history.csv'))
    assert (tmp_path / 'gan' / 'disc.safetensors').exists()
    warm = ['--warm-start', tmp_path / 'gan']
    autoencoder = ['--arch', 'autoencoder', '--size', 64, '--freeze', r'layers\.0']
    colorlab(*common, *autoencoder, *warm, '--out', tmp_path / 'warm')
    no = ['--out', tmp_path / 'no']
    one_line(colorlab(*common, '--arch', 'cnn', *warm, *no, check=False), 'do not fit')
    one_line(colorlab(*common, '--arch', 'r1-unet', '--size', 64, *no, check=False), 'multiple of 256')
    one_line(colorlab(*common, '--arch', 'cnn', '--disc', 'judge', *no, check=False), 'deep-cnn, resnet18')
    one_line(colorlab(*common, '--preset', 'R9', *no, check=False), 'R4-cgan')
    disc = tmp_path / 'gan' / 'disc.safetensors'
    one_line(colorlab('colorize', photos, '--model', disc, *no, check=False), 'is a discriminator')
    one_line(colorlab('export', disc, '--out', tmp_path / 'd.onnx', check=False), 'is a discriminator')
    assert not (tmp_path / 'no').exists()
    small = [*common, '--preset', 'R0-lab', '--size', 64, '--arch', 'cnn', '--out', tmp_path / 'r0']
    colorlab(*small)
    colorlab(*small, '--resume')
    # another network, in the space of the preset
    colorlab(*common, '--preset', 'R4-cgan', '--arch', 'cnn', '--size', 32, '--out', tmp_path / 'r4')
    assert json.loads((tmp_path / 'r4' / 'settings.json').read_text())['space'] == 'rgb'
    timm = ['--arch', 'colorlab.unet:TimmUNet', '--size', 32, '--out', tmp_path / 'timm']
    said = colorlab(*common, *timm).stdout  # an address brings no weights along
    assert 'begins with random weights, --arch lite0-unet with pretrained ones' in said


@pytest.fixture
def planned(monkeypatch):
    "What `colorlab train` would train, in a list; nothing is trained."
    from colorlab import cli_train

    settings = []
    monkeypatch.setattr(cli_train, 'run_training', lambda out, made, **_: settings.append(made))
    return settings


def test_a_preset_counts_photos_as_its_report_and_says_what_we_chose(photos, tmp_path, monkeypatch, planned, capsys):
    "R1.1, R4.10: neither came with the command, and nobody learned what the report leaves open."
    from colorlab import presets
    from colorlab.cli_train import train_command
    from colorlab.presets import assumptions

    def train(data, **options):
        train_command(out=tmp_path / 'run', data=str(data), preset='R1', **options)
        return planned[-1], capsys.readouterr().out

    settings, said = train(f'coco-sample:{photos}')
    assert not {'train', 'val'} & set(settings)  # 24 photos cannot give 12,000
    assert said.count('photos of the report: train 10,000, val 2,000; these give train 19, val 3\n') == 1
    assert 'the report leaves open, and we chose:' in said
    assert all(f'  {line}\n' in said for line in assumptions('R1'))
    settings, said = train(f'coco-sample:{photos}', train=7.0, val=2, test=1)  # who asks is not corrected
    assert [settings[name] for name in ('train', 'val', 'test')] == [7, 2, 1] and 'photos of the report' not in said
    settings, said = train(f'coco-sample:{photos}', train=0.5)
    assert settings['train'] == 0.5 and 'val' not in settings and 'photos of the report: val 2,000;' in said
    assert not {'train', 'val'} & set(train(photos)[0])
    small = presets.PRESETS['R1']._replace(on={'coco-sample': dict(train=12, val=6, epochs=5)})
    monkeypatch.setitem(presets.PRESETS, 'R1', small)
    settings, said = train(f'coco-sample:{photos}')
    assert [settings[name] for name in ('train', 'val', 'epochs')] == [12, 6, 5] and 'photos of the report' not in said
    listing = tmp_path / 'split.csv'  # photos that are split already stay so
    files = sorted(str(file.relative_to(photos)) for file in photos.rglob('*.jpg'))
    pd.DataFrame(dict(file=files, split=['train'] * 20 + ['val'] * 4)).to_csv(listing, index=False)
    said = train(f'coco-sample:{photos}', listing=listing)[1]
    assert 'photos of the report: train 12, val 6; these give train 20, val 4\n' in said


def test_a_run_of_a_preset_goes_on_with_the_photos_that_it_has(photos, tmp_path, monkeypatch, planned):
    "The same command with --resume, or with --preset alone, counts nothing anew."
    from dataclasses import asdict

    from colorlab.cli_train import train_command
    from colorlab.presets import preset
    from colorlab.runs import Run, Settings, changed_settings

    data = f'ncd:{photos}'
    stored = Settings(**preset('R4-unet', data=data, train=5, val=3, size=64))
    monkeypatch.setattr(Run, 'settings', lambda self: stored)
    for options in (dict(data=data), {}):
        train_command(out=tmp_path / 'run', preset='R4-unet', resume=True, **options)
        assert asdict(changed_settings(stored, planned[-1])) == asdict(stored)


def test_evaluate_takes_a_limit_and_a_device(photos, tmp_path, monkeypatch):
    "Both were there in Python alone."
    from colorlab import evaluation
    from colorlab.cli_train import evaluate_command
    from colorlab.images import BadInput

    asked = []

    def evaluate(*args, **options):
        asked.append(options)
        return pd.DataFrame(), []

    monkeypatch.setattr(evaluation, 'evaluate', evaluate)
    evaluate_command(['lite'], str(photos), tmp_path, limit=3, device='cpu')
    assert (asked[0]['limit'], asked[0]['device']) == (3, 'cpu')
    with pytest.raises(BadInput, match='the device nowhere is not available'):
        evaluate_command(['lite'], str(photos), tmp_path, device='nowhere')


def test_python_m_colorlab_is_the_command():
    command = [sys.executable, '-m', 'colorlab', 'demo', '--help']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'Usage: colorlab demo' in done.stdout and '--minutes' in done.stdout
