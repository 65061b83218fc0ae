"""`colorlab evaluate` as a command: models and strangers, a kill, and everything that does not fit."""

import json
import re
import shutil
import signal
import sqlite3
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Running, colorlab, sample
from PIL import Image
from test_cli import one_line

import colorlab as colorlab_module
from colorlab.data import Manifest, make_manifest
from colorlab.evaluation import evaluate
from colorlab.images import photo_files
from colorlab.pretrained import (
    DOWNLOADED,
    first_available,
    is_downloaded,
    lite0_features,
    perceptual_metrics,
    st_lpips,
)
from colorlab.protocol import choose_photos, photo_notes
from colorlab.scoring import (
    ScoreConfig,
    ScoreStore,
    Truth,
    baseline_methods,
    measure,
    measure_batch,
    score_methods,
)
from colorlab.summary import mean_interval
from colorlab.verdicts import verdict_on


def test_a_model_and_a_stranger(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'stranger')
    for f in (tmp_path / 'stranger').rglob('*.jpg'):
        Image.open(f).convert('L').save(f.with_suffix('.png'))
        f.unlink()
    measure = ['--data', photos, '--size', 96, '--vividness', 'accurate', '--no-perceptual', '--out', tmp_path / 'out']
    done = colorlab('evaluate', 'lite', tmp_path / 'stranger', *measure)
    assert 'mean-ab' in done.stdout and 'stranger' in done.stdout and 'ab-RMSE' in done.stdout
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text(), parse_constant=pytest.fail)['methods']
    assert summary['truth']['psnr'] is None  # infinite; JSON knows no such number
    assert set(summary) == {'lite', 'stranger', 'gray', 'mean-ab', 'random-ab', 'truth'}
    error = summary['stranger']['ab_rmse'] - summary['gray']['ab_rmse']
    assert abs(error) < 0.6  # a luma gray and a Lab gray have the same color
    assert summary['lite']['psnr'] > summary['gray']['psnr'] and summary['gray']['beats_gray'] == 0
    assert summary['lite']['delta_L'] < 0.25  # the model keeps the lightness (R4.14)
    page = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    for names in ('http://www.w3.org', 'https://matplotlib.org', 'http://purl.org', 'http://creativecommons.org'):
        page = page.replace(names, '')
    assert 'data:image/jpeg' in page and 'http' not in page  # whole without the internet


def test_a_model_of_rgb_takes_part_twice(photos, tmp_path):
    rgb = tmp_path / 'rgb'
    train = ['train', '--arch', 'cnn', '--data', photos, '--space', 'rgb', '--size', 32, '--epochs', 1, '--bs', 4]
    colorlab(*train, '--out', rgb)
    colorlab('evaluate', rgb, '--data', photos, '--size', 64, '--no-perceptual', '--out', tmp_path / 'rgb-out')
    scores = pd.read_csv(tmp_path / 'rgb-out' / 'scores.csv').groupby('method').delta_L.mean()
    assert scores['rgb'] > 2 > 0.3 > scores['rgb, L kept']  # what it predicts, and what the product makes of it


def test_killed_it_goes_on_to_the_same_figures(photos, tmp_path):
    splits = pd.DataFrame(dict(file=photo_files(photos), split=['train'] * 16 + ['test'] * 8))
    splits.to_csv(photos / 'manifest.csv', index=False)
    args = ['evaluate', 'lite', '--data', photos, '--no-perceptual']
    colorlab(*args, '--out', tmp_path / 'whole')
    running = Running(*args, '--out', tmp_path / 'cut')

    def seen():
        try:
            db = sqlite3.connect(tmp_path / 'cut' / 'scores.sqlite')
            return db.execute('select count(*) from scores').fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # not there yet

    running.wait_for(lambda: seen() >= 5)
    running.end(signal.SIGKILL)
    assert not (tmp_path / 'cut' / 'summary.json').exists()
    colorlab(*args, '--out', tmp_path / 'cut')
    for name in ('scores.csv', 'summary.json'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_model_that_comes_along_is_found_beside_a_folder_of_its_name(photos, tmp_path):
    (tmp_path / 'lite').mkdir()  # a folder of that name is no model
    measure = ['--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path / 'out']
    done = colorlab('evaluate', 'lite', *measure, cwd=tmp_path)
    assert 'out of gamut' in done.stdout and 'lite' in done.stdout


def test_no_model_is_measured_by_photos_that_it_was_trained_on(photos, tmp_path):
    run = tmp_path / 'run'
    train = ['train', '--arch', 'cnn', '--data', photos, '--size', 32, '--epochs', 1, '--bs', 4, '--out', run]
    colorlab(*train, '--seed', 1)  # another seed, another split
    measure = ['evaluate', run, '--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path / 'out']
    one_line(colorlab(*measure, check=False), 'of these 2 photos', f'--listing {run / "manifest.csv"}')
    one_line(colorlab('evaluate', run / 'model.safetensors', *measure[2:], check=False), 'of these 2 photos')
    assert not (tmp_path / 'out').exists()
    colorlab(*measure, '--listing', run / 'manifest.csv')
    measured = set(pd.read_csv(tmp_path / 'out' / 'scores.csv').file)
    assert measured == set(pd.read_csv(run / 'manifest.csv').query('split == "test"').file)


def test_what_does_not_fit_is_said(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'colored')

    def fails(*words, what=tmp_path / 'colored', out=tmp_path / 'out', data=photos):
        one_line(colorlab('evaluate', what, '--data', data, '--out', out, '--no-perceptual', check=False), *words)

    first = tmp_path / 'colored' / make_manifest(photos).subset('test').file[0]
    Image.open(first).resize((50, 60)).save(first)
    fails(first.name, '50×60', 'its truth is 256×256')
    first.write_bytes(b'torn')
    fails(first.name, 'cannot be read')
    first.unlink()
    fails('no picture for 1 of 2', first.name)
    fails('no such model', what=tmp_path / 'nobody')
    fails('no such folder', data=tmp_path / 'nowhere', what='lite')
    fails('/dev/full', out='/dev/full', what='lite')
    fails('/proc', out='/proc/out', what='lite')
    for f in photos.rglob('*.jpg'):
        Image.open(f).convert('L').save(f)
    fails('has color', what='lite')


def test_names_and_sizes_that_cannot_be_are_said(photos, tmp_path):
    measure = ['--data', photos, '--out', tmp_path / 'out', '--no-perceptual']
    for name in ('gray', 'truth'):
        shutil.copytree(photos, tmp_path / name)
        one_line(colorlab('evaluate', tmp_path / name, *measure, check=False), 'have one name', 'rename')
    one_line(colorlab('evaluate', 'lite', *measure, '--size', 8, check=False), 'size is 8', '16')
    assert not (tmp_path / 'out').exists()


def test_photos_as_they_are(tmp_path):
    "--size 0: photos of different and odd sizes; some too small for a network, or for anything."
    sources = sorted((sample / 'scenes').glob('*.jpg'))[::40]

    def evaluated(name, size_of, *options):
        (tmp_path / name).mkdir()
        for i, f in enumerate(sources):
            Image.open(f).resize(size_of(i)).save(tmp_path / name / f'{i}.png')
        where = ['--data', tmp_path / name, '--out', tmp_path / f'{name}-out']
        return colorlab('evaluate', 'lite', *where, '--size', 0, *options, check=False)

    done = evaluated('odd', lambda i: (97 + 14 * i, 151 - 6 * i))
    assert done.returncode == 0 and 'ΔE 2000' in done.stdout, done.stderr
    done = evaluated('small', lambda i: (19 + i, 400))
    assert done.returncode == 0 and 'is left out: it needs 32 pixels a side' in done.stdout, done.stderr
    one_line(evaluated('tiny', lambda i: (40, 9)), 'is 40×9', '16 pixels')
    assert not (tmp_path / 'tiny-out').exists()
    done = colorlab('evaluate', 'lite', '--data', tmp_path / 'tiny', '--size', 16, '--out', tmp_path / 'enlarged')
    assert 'is left out: it needs 32 pixels a side' in done.stdout


def test_in_three_lines(photos, tmp_path):
    lite = colorlab_module.Colorizer.from_pretrained('lite')
    result = colorlab_module.evaluate(lite, photos, size=64, perceptual=False)
    table, notes = result
    assert table.loc['lite', 'PSNR dB ↑'] in repr(result) and result.page is None
    assert len(result.scores) == 5 * len(choose_photos(make_manifest(photos)))
    assert result.summary.cf['lite'] > 1 > result.summary.cf['gray']
    assert table is result.table and notes is result.notes and '<table' in result._repr_html_()
    again = Truth()
    again.name = 'again'
    by_function = colorlab_module.evaluate(lambda *_: [again], photos, size=64, perceptual=False)
    assert by_function.summary.cf['again'] == by_function.summary.cf['truth']
    named = colorlab_module.evaluate('lite', photos, tmp_path / 'out', size=64, perceptual=False)
    assert named.summary.equals(result.summary) and named.page.exists()


def test_crops_of_one_photo_are_drawn_together(photos):
    files = photo_files(photos)
    listing = pd.DataFrame(dict(file=files, split='test', group=[f'photo {i // 8}' for i in range(len(files))]))
    listing.to_csv(photos / 'manifest.csv', index=False)
    result = evaluate(lambda *_: [], photos, size=32, perceptual=False)
    assert f'these are {len(files)} pictures of {listing.group.nunique()} photos' in ' '.join(result.notes)
    gray = result.scores[result.scores.method == 'gray']
    as_crops, as_photos = mean_interval(gray.psnr), mean_interval(gray.psnr, listing.group)
    assert (result.summary.psnr_low['gray'], result.summary.psnr_high['gray']) == as_photos[1:] != as_crops[1:]
    assert result.verdict('mean-ab').startswith(f'On {len(files)} pictures of {listing.group.nunique()} photos, ')
    assert verdict_on(result.scores, 'mean-ab', 'gray').photos == listing.group.nunique()


def test_scores_of_an_earlier_version_are_not_taken_for_new_ones(photos, tmp_path):
    with sqlite3.connect(tmp_path / 'scores.sqlite') as db:
        db.execute('create table scores (key primary key, row, features)')
        db.execute("insert into scores values ('old', '{}', x'')")
    colorlab('evaluate', 'lite', '--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path)
    assert len(pd.read_csv(tmp_path / 'scores.csv')) == 2 * 5
    (tmp_path / 'scores.sqlite').unlink()
    with sqlite3.connect(tmp_path / 'scores.sqlite') as db:
        db.execute('create table scores (key primary key, figures)')  # of another program
    command = ['evaluate', 'lite', '--data', photos, '--size', 32, '--no-perceptual', '--out', tmp_path]
    one_line(colorlab(*command, check=False), 'scores.sqlite')


def test_a_metric_that_lacks_its_package_is_missing_before_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchmetrics', None)  # not installed
    metric, notes = first_available(lite0_features)
    assert metric is None and 'lite0_features is not available here' in notes[0]


def test_nothing_is_downloaded_unasked(tmp_path, monkeypatch):
    asked = []

    def download(url, *_, **__):
        asked.append(url)
        raise OSError('nobody answers')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    pair, sets, notes = perceptual_metrics()
    assert (asked, pair.name, sets.name) == ([], 'ST-LPIPS', 'KD-Lite0')
    (note,) = notes
    assert note.startswith('LPIPS, KID, FID: left out') and '`download`' in note
    pair, sets, notes = perceptual_metrics(download=True)
    assert [name in url for name, url in zip(('alexnet', 'inception'), asked)] == [True, True]
    assert len(asked) == len(notes) == 2 and all('nobody answers' in note for note in notes)
    for url, (_, name) in zip(asked, DOWNLOADED.values()):
        assert url.endswith(name)  # torch keeps a file under the name that its address has
        (tmp_path / 'checkpoints' / name).touch()
    assert all(map(is_downloaded, DOWNLOADED))


def test_the_command_says_how_far_it_is_and_what_is_left_out(photos, tmp_path, monkeypatch):
    "It was silent for minutes, and asked two servers for weights."
    monkeypatch.setenv('COLORLAB_PROGRESS_SECONDS', '0')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    done = colorlab('evaluate', 'lite', '--data', photos, '--size', 32, '--out', tmp_path / 'out')
    said = done.stderr.splitlines()
    assert any(line.startswith('mean color: ') for line in said) and all(line.endswith(' left') for line in said)
    assert re.match(r'scoring: \d+ of \d+ photos, about', said[-1])
    assert done.stdout.count('left out, as their weights are not on this machine; --download fetches them') == 1
    assert not (tmp_path / 'hub').exists() and 'URLError' not in done.stdout


def squares(n, size=48):
    "Pictures and their truths, (N, 3, size, size) in 0..1."
    rng = torch.Generator().manual_seed(42)
    return torch.rand(2, n, 3, size, size, generator=rng)


def test_a_batch_is_measured_as_one_by_one():
    pred, targ = squares(5)
    metric = st_lpips()
    with torch.inference_mode():
        together = measure_batch(pred, targ, metric)
        alone = [measure(p, t, metric) for p, t in zip(pred, targ)]
    for a, b in zip(together, alone):
        assert a.keys() == b.keys()
        for name in a.keys() - {'histograms'}:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-6), name
        for name, sums in a['histograms'].items():
            np.testing.assert_allclose(sums, b['histograms'][name], rtol=1e-5, atol=2e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_measures_what_a_cpu_measures():
    pred, targ = squares(5)
    with torch.inference_mode():
        here = measure_batch(pred, targ, st_lpips())
        there = measure_batch(pred.cuda(), targ.cuda(), st_lpips('cuda'))
    for a, b in zip(here, there):
        for name in a.keys() - {'histograms'}:
            assert a[name] == pytest.approx(b[name], rel=2e-3, abs=1e-4), name


def test_scores_are_written_a_batch_at_a_time_and_memory_holds_no_more(photos, tmp_path, monkeypatch):
    rows = make_manifest(photos).table.iloc[:9]
    store, written, shapes = ScoreStore(tmp_path / 's.sqlite'), [], []
    put = ScoreStore.put
    monkeypatch.setattr(
        ScoreStore, 'put', lambda self, keys, scores: written.append(len(keys)) or put(self, keys, scores)
    )

    def as_features(rgb):
        shapes.append(tuple(rgb.shape))
        return rgb.flatten(1)[:, :3].float()

    config = ScoreConfig(32, set_metric=type(st_lpips())('toy', as_features))
    first = score_methods(baseline_methods((0, 0)), rows, photos, store, config)
    assert written == [4] * 8 + [1] * 4 and {s[0] for s in shapes} == {4, 1}  # three baselines and the truth
    again = score_methods(baseline_methods((0, 0)), rows, photos, store, config)
    assert len(written) == 12  # a second time nothing is measured
    pd.testing.assert_frame_equal(again.table.drop(columns='histograms'), first.table.drop(columns='histograms'))
    assert all((again.features[name] == first.features[name]).all() for name in first.features)


def test_a_part_of_the_photos_is_drawn_before_anybody_is_measured(photos):
    table = pd.DataFrame(dict(file=[f'{i:03}.jpg' for i in range(300)], verdict='ok', split='test'))
    manifest = Manifest(photos, table)
    some, more = choose_photos(manifest, 20), choose_photos(manifest, 50)
    assert len(some) == 20 and set(some.file) < set(more.file) and some.file.is_monotonic_increasing
    assert some.equals(choose_photos(manifest, 20)) and len(choose_photos(manifest)) == 300
    assert photo_notes(manifest, some) == ['measured on 20 of 300 photos, drawn at random (seed 42)']
    assert photo_notes(manifest, choose_photos(manifest)) == []
    (note,) = photo_notes(manifest, choose_photos(Manifest(photos, table.assign(split='val'))))
    assert 'there is no test split' in note
    result = evaluate({'mine': 'lite'}, photos, size=32, perceptual=False, limit=1)
    assert set(result.scores.groupby('method').size()) == {1} and 'mine' in result.table.index
    assert any(note.startswith('measured on 1 of') for note in result.notes)
    assert result.verdict('mine').startswith('On 1 photo, mine cannot be told from gray')
    assert result.hue_errors('recovered')['gray'].dropna().abs().max() < 1e-3
