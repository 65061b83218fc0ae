"""`colorlab evaluate` as a command: models and strangers, a kill, and everything that does not fit."""
import json, shutil, signal, sqlite3, subprocess, sys, time
from pathlib import Path
import pandas as pd
from PIL import Image
from colorlab.data import make_manifest
from conftest import colorlab
from test_cli import one_line


def test_a_model_and_a_stranger(photos, tmp_path):
    shutil.copytree(photos, tmp_path/'stranger')
    for f in (tmp_path/'stranger').rglob('*.jpg'): Image.open(f).convert('L').save(f.with_suffix('.png')); f.unlink()
    done = colorlab('evaluate', 'demo', tmp_path/'stranger', '--data', photos, '--size', 96, '--no-perceptual', '--out', tmp_path/'out')
    assert 'mean-ab' in done.stdout and 'stranger' in done.stdout and 'ab-RMSE' in done.stdout
    figures = json.loads((tmp_path/'out'/'summary.json').read_text())['figures']
    assert abs(figures['stranger']['ab_rmse'] - figures['gray']['ab_rmse']) < .6 # a luma gray and a Lab gray have the same color
    assert figures['demo']['psnr'] > figures['gray']['psnr'] and set(figures) == {'demo', 'stranger', 'gray', 'mean-ab', 'random-ab', 'truth'}
    assert (tmp_path/'out'/'report.html').stat().st_size > 100_000
    rgb = tmp_path/'rgb'
    colorlab('train', '--arch', 'cnn', '--data', photos, '--space', 'rgb', '--size', 32, '--epochs', 1, '--bs', 4, '--out', rgb)
    colorlab('evaluate', rgb, '--data', photos, '--size', 64, '--no-perceptual', '--out', tmp_path/'rgb-out')
    scores = pd.read_csv(tmp_path/'rgb-out'/'scores.csv').groupby('who').moved.mean()
    assert scores['rgb'] > 2 > .3 > scores['rgb, L kept'] # what it painted, and what the product makes of it


def test_killed_it_goes_on_to_the_same_figures(photos, tmp_path):
    args = ['evaluate', 'demo', '--data', photos, '--no-perceptual']
    colorlab(*args, '--out', tmp_path/'whole')
    process = subprocess.Popen([Path(sys.executable).with_name('colorlab'), *map(str, args), '--out', tmp_path/'cut'])
    def seen():
        try: return sqlite3.connect(tmp_path/'cut'/'scores.sqlite').execute('select count(*) from scores').fetchone()[0]
        except sqlite3.OperationalError: return 0 # not there yet
    while seen() < 5: assert process.poll() is None; time.sleep(.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path/'cut'/'summary.json').exists()
    colorlab(*args, '--out', tmp_path/'cut')
    for name in ('scores.csv', 'summary.json'): assert (tmp_path/'cut'/name).read_bytes() == (tmp_path/'whole'/name).read_bytes()


def test_what_does_not_fit_is_said(photos, tmp_path):
    shutil.copytree(photos, tmp_path/'colored')
    def fails(*words, what=tmp_path/'colored', out=tmp_path/'out', data=photos):
        one_line(colorlab('evaluate', what, '--data', data, '--out', out, '--no-perceptual', check=False), *words)
    first = tmp_path/'colored'/make_manifest(photos).part('val').file[0]
    Image.open(first).resize((50, 60)).save(first)
    fails(first.name, '50×60', 'its truth is 256×256')
    first.write_bytes(b'torn')
    fails(first.name, 'cannot be read')
    first.unlink()
    fails('no picture for 1 of 5', first.name)
    fails('no such model', what=tmp_path/'nobody')
    fails('no such folder', data=tmp_path/'nowhere', what='demo')
    fails('/dev/full', out='/dev/full', what='demo')
    fails('/proc', out='/proc/out', what='demo')
    for f in photos.rglob('*.jpg'): Image.open(f).convert('L').save(f)
    fails('has color', what='demo')
