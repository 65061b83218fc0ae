"A tournament through the real command: killed and gone on with, two processes at once, bad input."

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import colorlab

from colorlab.cli import app
from colorlab.images import BadInput

ARGS = [
    '--gen',
    'r2-autoencoder',
    '--disc',
    'none',
    '--disc',
    'patch',
    '--seeds',
    2,
    '--photos-seen',
    96,
    '--size',
    64,
    '--narrow',
    4,
    '--no-perceptual',
    '--device',
    'cpu',
]


def start(*args):
    return subprocess.Popen(
        [Path(sys.executable).with_name('colorlab'), 'compare', *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def marks(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in out.rglob('marks.csv')}


@pytest.fixture
def many(photos):  # a split needs 16 photos to train with
    for f in list(photos.rglob('*.jpg'))[:6]:
        shutil.copy(f, f.with_name(f'again {f.name}'))
    return photos


def test_killed_it_goes_on_and_two_processes_share_the_work(many, tmp_path):
    out = tmp_path / 'cup'
    first = start('--data', many, '--out', out, *ARGS)
    while not marks(out):
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = marks(out)
    assert 0 < len(done) < 4
    two = [start('--data', many, '--out', out, *ARGS) for _ in range(2)]
    for p in two:
        _, err = p.communicate()
        assert p.returncode == 0, err.decode()
    after = marks(out)
    assert len(after) == 4 and {k: after[k] for k in done} == done
    table = pd.read_csv(out / 'test.csv', index_col=0)
    assert (
        list(table.index) == ['gray', 'mean-ab', 'r2-autoencoder · none · lab · all · 1.0 · warm', 'disc: patch']
        and table['seeds ±'].iloc[-2:].notna().all()
    )
    assert 'disc: patch' in (out / 'report.html').read_text()
    wrong = colorlab('compare', '--data', many, '--out', out, *ARGS[:-1], 'cpu', '--size', 128, check=False)
    assert wrong.returncode == 1 and 'other size' in wrong.stderr and wrong.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'args, why',
    [
        (['--disc', 'magic'], 'is no discriminator'),
        (['--gen', 'magic'], 'is no architecture'),
        (['--photos', 'cats'], 'name them'),
        (['--part', 'cats'], 'NAME=PATTERN'),
        (['--seconds', 3, '--photos-seen', 3], 'give one of them'),
        (['--space', 'cmyk'], 'is not known'),
        (['--start', 'hot'], 'warm or cold'),
        (['--photos', 'x', '--part', 'x=('], 'regular expression'),
    ],
)
def test_bad_input_is_one_line_before_the_first_batch(many, tmp_path, args, why):
    with pytest.raises(BadInput, match=why) as e:
        app(
            [
                'compare',
                '--data',
                str(many),
                '--out',
                str(tmp_path / 'cup'),
                '--size',
                '64',
                '--narrow',
                '4',
                '--no-perceptual',
                *map(str, args),
            ],
            standalone_mode=False,
        )
    assert '\n' not in str(e.value) and not list((tmp_path / 'cup').rglob('history.csv'))
