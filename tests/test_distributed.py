"""One training in two processes, started by torchrun or from Python as users do, on CPUs."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from colorlab.distributed import launch_processes, process_rank, sync_batchnorm
from colorlab.images import BadInput
from colorlab.model_files import create_model
from colorlab.runs import Run
from colorlab.training import train

# The command, with a small network.
PROGRAM = """
import colorlab.training
from colorlab.cli import main

train = colorlab.training.train


def small(folder, **how):
    return train(folder, **how if how['resume'] else how | dict(args=dict(nf=4)))


colorlab.training.train = small
main()
"""
SMALL = ['--train', 16, '--val', 4, '--size', 32, '--device', 'cpu', '--seed', 3]


class Torchrun:
    "`torchrun --nproc_per_node 2` of the program above."

    def __init__(self, folder, *args):
        program = folder / 'program.py'
        program.write_text(PROGRAM)
        start = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', 2, program, 'train']
        env = os.environ | {'OMP_NUM_THREADS': '1'}
        kinds = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        self.process = subprocess.Popen([*map(str, [*start, *args])], **kinds)

    def wait_for(self, words):
        "Until a line says so."
        said = ''
        for line in self.process.stdout:
            said += line
            if words in line:
                return
        raise AssertionError(said)

    def workers(self):
        "The processes that train, in the order of their ranks."
        pid = self.process.pid
        return [*map(int, Path(f'/proc/{pid}/task/{pid}/children').read_text().split())]

    def end(self, code=0):
        "What it has said since."
        said = self.process.communicate()[0]
        assert self.process.returncode == code, said
        return said


def files(run):
    "Names of all files but those of single epochs."
    names = {f.relative_to(run).as_posix() for f in run.rglob('*') if f.is_file()}
    return {name for name in names if 'epoch-' not in name}


def test_two_processes_learn_what_one_does_through_a_kill_until_ctrl_c(photos, tmp_path):
    "20 steps of 16 photos, at once; and 4 photos at a time in each of two processes. The batch norms are frozen."
    one, two, freeze = tmp_path / 'one', tmp_path / 'two', r'layers\.\d+\.1\.'
    how = ['--data', photos, *SMALL, '--bs', 16, '--schedule', 'constant', '--loss', 'mse', '--freeze', freeze]
    running = Torchrun(tmp_path, *how, '--epochs', 5000, '--micro-batches', 2, '--out', two)
    same = dict(train=16, val=4, size=32, bs=16, seed=3, schedule='constant', loss='mse', freeze=freeze)
    net = dict(arch='colorlab.cnn:CNN', args=dict(nf=4))
    train(one, data=photos, epochs=20, device='cpu', progress=False, **same, **net)
    running.wait_for('epoch 10/')
    workers = running.workers()
    os.kill(workers[1], signal.SIGKILL)  # its end ends the whole run, and the command goes on
    running.end(code=1)
    assert not any(Path(f'/proc/{pid}').exists() for pid in workers)
    running = Torchrun(tmp_path, '--out', two, '--resume', '--device', 'cpu')
    running.wait_for(f'epoch {max(21, len(Run(two).history()) + 2)}/')
    running.process.send_signal(signal.SIGINT)
    assert running.end(code=1).count('nothing is lost') == 1

    a, b = (Run(run).history().drop(columns='seconds') for run in (one, two))
    b = b[:20]
    print('largest relative difference:', ((a - b).abs() / a).max().to_dict())
    assert len(a) == 20 and a.train_loss[19] < 0.9 * a.train_loss[0]
    np.testing.assert_allclose(b, a, rtol=1e-5)
    assert files(one) == files(two)
    with pytest.raises(BadInput, match='processes 2 and cannot go on with 1: torchrun --nproc_per_node 2 goes on'):
        train(two, resume=True, device='cpu')


def play(folder, how):
    "In each of two processes: train a small GAN; leave the number of the process, and a digest of all weights."
    left = f'{folder}.{process_rank()}'
    Path(f'{left}.pid').write_text(str(os.getpid()))
    learn = train(folder, device='cpu', progress=False, **how)
    nets = learn.model, learn.adversary.disc
    weights = b''.join(value.numpy().tobytes() for net in nets for value in net.state_dict().values())
    Path(f'{left}.digest').write_text(hashlib.sha256(weights).hexdigest())


def kill_one(run, victims):
    "When two epochs are done, kill the second process that trains; note both."
    while not (run / 'history.csv').exists() or len(Run(run).history()) < 2:
        time.sleep(0.01)
    victims += [int(Path(f'{run}.{rank}.pid').read_text()) for rank in (0, 1)]
    os.kill(victims[1], signal.SIGKILL)


def test_a_gan_whose_worker_is_killed_ends_in_the_same_weights(photos, tmp_path):
    "Its end ends the whole run, which goes on when it is started again. Batch norms learn."
    ensure_running()  # the server of conftest, which has imported what the others need
    disc = dict(disc='colorlab.pix2pix:PatchGAN', args=dict(ndf=4, ni=3, strides=[2, 2]))
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), callbacks=[['colorlab.adversary:Adversary', disc]])
    how |= dict(data=str(photos), train=16, val=4, size=32, bs=4, seed=3, epochs=8)
    whole, cut, victims = tmp_path / 'whole', tmp_path / 'cut', []
    launch_processes(play, whole, how, n=2)

    killer = threading.Thread(target=kill_one, args=(cut, victims))
    killer.start()
    with pytest.raises(ConnectionError, match='one of 2 processes failed'):
        launch_processes(play, cut, how, n=2)
    killer.join()
    assert not any(Path(f'/proc/{pid}').exists() for pid in victims)
    assert not Path(f'{cut}.0.digest').exists()

    launch_processes(play, cut, dict(resume=True), n=2)
    assert len({Path(f'{run}.{rank}.digest').read_text() for run in (whole, cut) for rank in (0, 1)}) == 1
    for name in ('model', 'disc'):
        a, b = (load_file(run / f'{name}.safetensors') for run in (whole, cut))
        assert all(torch.equal(a[k], b[k]) for k in a)
    a, b = (Run(run).history().drop(columns='seconds') for run in (whole, cut))
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert len(a) == 8 and {'g_loss', 'd_loss', 'val_d_loss'} <= set(a) and a.notna().all(axis=None)


NO_GPU = """
import torch

def asked(*args, **kwargs):
    raise AssertionError('a GPU was asked for')

for name in ('is_available', 'device_count', 'current_device', 'get_device_capability', '_lazy_init'):
    setattr(torch.cuda, name, asked)
import colorlab.devices, colorlab.planning
"""


def test_what_the_fork_server_imports_asks_for_no_gpu():
    "The processes that it makes could not use one any more."
    done = subprocess.run([sys.executable, '-c', NO_GPU], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('arch', ['colorlab.cnn:CNN', 'colorlab.unet:TimmUNet', 'colorlab.pix2pix:PatchGAN'])
def test_batch_norms_of_gpus_see_the_whole_batch(arch, monkeypatch):
    "Their layers are exchanged, the weights are the same ones, and a finished model computes the same."
    monkeypatch.setattr('colorlab.distributed.process_count', lambda: 2)
    torch.manual_seed(0)
    model = create_model(arch, {}).eval()
    x = [torch.randn(2, n, 64, 64) for n in ((1, 2) if 'GAN' in arch else (1,))]
    weights, before = dict(model.named_parameters()), model(*x)
    assert sync_batchnorm(model, 'cpu') is model
    synced = sync_batchnorm(model, 'cuda:1')
    norms = {type(m).__name__ for m in synced.modules() if 'BatchNorm' in type(m).__name__}
    assert norms and all(name.startswith('SyncBatchNorm') for name in norms), norms
    assert all(weights[name] is weight for name, weight in synced.named_parameters())
    assert torch.equal(synced(*x), before)
