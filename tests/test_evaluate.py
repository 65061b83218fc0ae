"""`colorlab evaluate` as a command: models and strangers, a kill, and everything that does not fit."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from conftest import colorlab
from PIL import Image
from test_cli import one_line

from colorlab.data import make_manifest
from colorlab.perceptual import first_available, lite0_features


def test_a_model_and_a_stranger(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'stranger')
    for f in (tmp_path / 'stranger').rglob('*.jpg'):
        Image.open(f).convert('L').save(f.with_suffix('.png'))
        f.unlink()
    done = colorlab(
        'evaluate',
        'lite',
        tmp_path / 'stranger',
        '--data',
        photos,
        '--size',
        96,
        '--vividness',
        'accurate',
        '--no-perceptual',
        '--out',
        tmp_path / 'out',
    )
    assert 'mean-ab' in done.stdout and 'stranger' in done.stdout and 'ab-RMSE' in done.stdout
    figures = json.loads((tmp_path / 'out' / 'summary.json').read_text())['figures']
    assert (
        abs(figures['stranger']['ab_rmse'] - figures['gray']['ab_rmse']) < 0.6
    )  # a luma gray and a Lab gray have the same color
    assert figures['lite']['psnr'] > figures['gray']['psnr'] and set(figures) == {
        'lite',
        'stranger',
        'gray',
        'mean-ab',
        'random-ab',
        'truth',
    }
    assert (tmp_path / 'out' / 'report.html').stat().st_size > 100_000
    rgb = tmp_path / 'rgb'
    colorlab(
        'train',
        '--arch',
        'cnn',
        '--data',
        photos,
        '--space',
        'rgb',
        '--size',
        32,
        '--epochs',
        1,
        '--bs',
        4,
        '--out',
        rgb,
    )
    colorlab('evaluate', rgb, '--data', photos, '--size', 64, '--no-perceptual', '--out', tmp_path / 'rgb-out')
    scores = pd.read_csv(tmp_path / 'rgb-out' / 'scores.csv').groupby('who').delta_L.mean()
    assert scores['rgb'] > 2 > 0.3 > scores['rgb, L kept']  # what it painted, and what the product makes of it


def test_killed_it_goes_on_to_the_same_figures(photos, tmp_path):
    args = ['evaluate', 'lite', '--data', photos, '--no-perceptual']
    colorlab(*args, '--out', tmp_path / 'whole')
    process = subprocess.Popen([Path(sys.executable).with_name('colorlab'), *map(str, args), '--out', tmp_path / 'cut'])

    def seen():
        try:
            return (
                sqlite3.connect(tmp_path / 'cut' / 'scores.sqlite').execute('select count(*) from scores').fetchone()[0]
            )
        except sqlite3.OperationalError:
            return 0  # not there yet

    while seen() < 5:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'cut' / 'summary.json').exists()
    colorlab(*args, '--out', tmp_path / 'cut')
    for name in ('scores.csv', 'summary.json'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_model_that_comes_along_is_found_beside_a_folder_of_its_name(photos, tmp_path):
    (tmp_path / 'lite').mkdir()  # a folder of that name is no model
    done = colorlab(
        'evaluate', 'lite', '--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path / 'out', cwd=tmp_path
    )
    assert 'drawn in' in done.stdout and 'lite' in done.stdout


def test_nobody_is_judged_by_what_it_has_learned(photos, tmp_path):
    run = tmp_path / 'run'
    colorlab(
        'train', '--arch', 'cnn', '--data', photos, '--size', 32, '--epochs', 1, '--bs', 4, '--seed', 1, '--out', run
    )  # another seed, another split
    judge = ['evaluate', run, '--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path / 'out']
    one_line(colorlab(*judge, check=False), 'has learned', 'of these 5 photos', f'--listing {run / "manifest.csv"}')
    one_line(colorlab('evaluate', run / 'model.safetensors', *judge[2:], check=False), 'has learned')
    assert not (tmp_path / 'out').exists()
    colorlab(*judge, '--listing', run / 'manifest.csv')
    judged = set(pd.read_csv(tmp_path / 'out' / 'scores.csv').file)
    assert judged == set(pd.read_csv(run / 'manifest.csv').query('split == "val"').file)


def test_what_does_not_fit_is_said(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'colored')

    def fails(*words, what=tmp_path / 'colored', out=tmp_path / 'out', data=photos):
        one_line(colorlab('evaluate', what, '--data', data, '--out', out, '--no-perceptual', check=False), *words)

    first = tmp_path / 'colored' / make_manifest(photos).subset('val').file[0]
    Image.open(first).resize((50, 60)).save(first)
    fails(first.name, '50×60', 'its truth is 256×256')
    first.write_bytes(b'torn')
    fails(first.name, 'cannot be read')
    first.unlink()
    fails('no picture for 1 of 5', first.name)
    fails('no such model', what=tmp_path / 'nobody')
    fails('no such folder', data=tmp_path / 'nowhere', what='lite')
    fails('/dev/full', out='/dev/full', what='lite')
    fails('/proc', out='/proc/out', what='lite')
    for f in photos.rglob('*.jpg'):
        Image.open(f).convert('L').save(f)
    fails('has color', what='lite')


def test_names_and_sizes_that_cannot_be_are_said(photos, tmp_path):
    for name in ('gray', 'truth'):
        shutil.copytree(photos, tmp_path / name)
        one_line(
            colorlab(
                'evaluate', tmp_path / name, '--data', photos, '--out', tmp_path / 'out', '--no-perceptual', check=False
            ),
            'have one name',
            'rename',
        )
    one_line(
        colorlab(
            'evaluate', 'lite', '--data', photos, '--size', 8, '--out', tmp_path / 'out', '--no-perceptual', check=False
        ),
        'size is 8',
        '16',
    )
    assert not (tmp_path / 'out').exists()


def test_a_judge_that_lacks_its_package_is_missing_before_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchmetrics', None)  # not installed
    judge, notes = first_available(lite0_features)
    assert judge is None and 'lite0_features is not to be had here' in notes[0]
