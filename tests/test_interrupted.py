"""Real kills: whatever moment a run dies, it goes on and ends in the same weights."""

import os
import random
import signal
import time

import pandas as pd
import pytest
import torch
from conftest import Running, colorlab
from safetensors.torch import load_file

from colorlab import cli
from colorlab.checkpoints import load_checkpoint
from colorlab.runs import Run

KILLS = int(os.environ.get('COLORLAB_KILLS', 3))  # each at a random moment of an epoch that follows a finished one
ARGS = ['--arch', 'cnn', '--size', 64, '--epochs', KILLS * 4, '--bs', 4, '--seed', 3, '--device', 'cpu']


def history(run):
    return pd.read_csv(run / 'history.csv').drop(columns='seconds')


def test_killed_and_resumed_is_the_same_run(photos, tmp_path):
    colorlab('train', '--data', photos, '--out', tmp_path / 'whole', *ARGS)
    rng, kills, args = random.Random(0), 0, ['--data', photos, '--out', tmp_path / 'cut', *ARGS]
    for _ in range(KILLS):
        training = Running('train', *args)
        training.wait_for(training.output)  # it says that an epoch is done
        time.sleep(rng.uniform(0, 0.6))
        kills += training.process.is_alive()
        training.end(signal.SIGKILL)
        args = ['--out', tmp_path / 'cut', '--resume', '--device', 'cpu']
    assert kills > KILLS / 2
    print(kills, 'kills')
    colorlab('train', *args)
    a, b = (load_file(tmp_path / r / 'model.safetensors') for r in ('whole', 'cut'))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    pd.testing.assert_frame_equal(history(tmp_path / 'whole'), history(tmp_path / 'cut'), check_exact=True)
    assert (
        not list((tmp_path / 'cut' / 'checkpoints').glob('.*'))
        and len(list((tmp_path / 'cut' / 'checkpoints').iterdir())) <= 2
    )


def test_ctrl_c_ends_in_order(photos, tmp_path):
    how = ['--out', tmp_path / 'run', *ARGS[:-6], '--epochs', 500, '--device', 'cpu']
    training = Running('train', '--data', photos, *how)
    training.wait_for((tmp_path / 'run' / 'history.csv').exists)
    done = training.end(signal.SIGINT)
    assert done.returncode == 130 and 'nothing is lost' in done.stderr and 'Traceback' not in done.stderr


def test_a_full_disk_is_said_and_nothing_is_lost(photos, tmp_path):
    "The limit on file sizes stands in for a full disk: writing fails in the middle of the checkpoint."
    steady = [*ARGS[:4], '--bs', 4, '--device', 'cpu', '--schedule', 'constant']
    colorlab('train', '--data', photos, '--out', tmp_path / 'run', '--epochs', 2, *steady)
    before = {p: p.read_bytes() for p in (tmp_path / 'run').rglob('*.*') if p.suffix in ('.pt', '.safetensors')}
    more = ['train', '--out', tmp_path / 'run', '--resume', '--epochs', 4, '--device', 'cpu']
    done = colorlab(*more, check=False, file_limit=200_000)
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and 'File too large' in done.stderr, done.stderr
    assert {p: p.read_bytes() for p in before} == before and not list((tmp_path / 'run').rglob('.*.part'))
    colorlab(*more)
    colorlab('train', '--data', photos, '--out', tmp_path / 'never', '--epochs', 4, *steady)
    a, b = (load_file(tmp_path / r / 'model.safetensors') for r in ('run', 'never'))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_two_processes_do_not_share_a_run(photos, tmp_path):
    how = ['--out', tmp_path / 'run', *ARGS[:4], '--epochs', 500, '--device', 'cpu']
    training = Running('train', '--data', photos, *how)
    training.wait_for((tmp_path / 'run' / 'history.csv').exists)
    done = colorlab('train', '--out', tmp_path / 'run', '--resume', check=False)
    training.end(signal.SIGKILL)
    assert done.returncode == 1 and 'another process is training here' in done.stderr and done.stderr.count('\n') == 1


def test_ctrl_c_within_a_library_that_makes_another_error_of_it(monkeypatch, capsys):
    def library(**_):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except SystemExit:
            raise RuntimeError('cannot write')

    monkeypatch.setattr(cli, 'app', library)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 130 and 'nothing is lost' in capsys.readouterr().err


def test_damaged_checkpoints_are_put_aside(tmp_path, capsys):
    "Or they would count as the newest for ever, and every new one would be deleted as the oldest."
    run = Run(tmp_path)
    (tmp_path / 'checkpoints').mkdir()
    for n in (9, 10):
        (tmp_path / 'checkpoints' / f'epoch-{n:04}.pt').write_bytes(b'damaged')
    assert load_checkpoint(run) is None
    assert run.checkpoints() == [] and capsys.readouterr().out.count('is damaged') == 2
    assert len(list((tmp_path / 'checkpoints').glob('*.damaged'))) == 2
