"""The base install: it colors photos without torch, is small, and says which extra brings what it lacks."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest
from conftest import root, sample
from PIL import Image

from colorlab.formats import EXTRAS
from colorlab.metadata import read_provenance

MAX_MEGABYTES = 450  # of the packages; Python itself is not counted
photo = min(sample.glob('scenes/*.jpg'))
config = ConfigParser()
config.read(root / 'settings.ini')
cfg = config['DEFAULT']


def plain(name):
    "A distribution's name as pip compares it."
    return re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', name)[0]).lower()


def closure(requirements):
    "The distributions that these requirements bring, and those that they bring in turn."
    from packaging.requirements import Requirement

    found, left = {}, [Requirement(r) for r in requirements]
    while left:
        wanted = left.pop()
        if plain(wanted.name) in found:
            continue
        found[plain(wanted.name)] = here = distribution(wanted.name)
        needs = [Requirement(r) for r in here.requires or []]
        left += [
            r for r in needs if not r.marker or any(r.marker.evaluate(dict(extra=e)) for e in wanted.extras or [''])
        ]
    return found


def python_with(requirements, folder):
    "A Python that sees what these requirements bring, and nothing else; what that weighs, in megabytes."
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    site = next(folder.glob('lib/python*/site-packages'))
    n_bytes = 0
    for found in closure(requirements).values():
        for file in found.files:
            n_bytes += file.size or 0
            top = Path(found.locate_file(file.parts[0]))
            if file.parts[0] not in ('..', '__pycache__') and not (site / top.name).exists():
                (site / top.name).symlink_to(top)
    (site / 'colorlab.pth').write_text(str(root))
    installed = Path(sysconfig.get_paths()['purelib'])
    info = next(installed.glob('colorlab-*.dist-info'))
    (site / info.name).symlink_to(info)
    return folder / 'bin' / 'python', n_bytes / 1e6


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    "The Python of the base install, and its weight."
    return python_with(cfg['requirements'].split(), tmp_path_factory.mktemp('base'))


def run(python, *args, cwd):
    return subprocess.run([python, *map(str, args)], cwd=cwd, capture_output=True, text=True)


def test_it_is_small_and_without_torch(base, tmp_path):
    python, megabytes = base
    assert 100 < megabytes < MAX_MEGABYTES, f'{megabytes:.0f} MB'
    assert 'No module named' in run(python, '-c', 'import torch', cwd=tmp_path).stderr


def test_it_colors_as_the_full_install_does(base, tmp_path):
    with_hint = 'colorize', photo, '--variants', '2', '--hint', '10,10,#c02020'
    for python, out in ((base[0], 'base'), (sys.executable, 'full')):
        done = run(python, '-m', 'colorlab', 'colorize', photo, '--out', out, '--uncertainty', cwd=tmp_path)
        assert not done.returncode, done.stderr
        done = run(python, '-m', 'colorlab', *with_hint, '--out', f'{out}-hint', cwd=tmp_path)
        assert not done.returncode, done.stderr
    files = sorted(p.relative_to(tmp_path / 'base') for p in (tmp_path / 'base').rglob('*.*'))
    assert len(files) >= 2
    assert all((tmp_path / 'base' / f).read_bytes() == (tmp_path / 'full' / f).read_bytes() for f in files)
    assert len(list((tmp_path / 'base-hint').iterdir())) == len(list((tmp_path / 'full-hint').iterdir())) >= 2
    said = run(base[0], '-m', 'colorlab', 'inspect', tmp_path / 'base' / photo.name, cwd=tmp_path)
    assert 'colorized' in said.stdout


def test_the_doctor_finds_without_torch_what_it_finds_with_it(tmp_path):
    "A photo twice, and once in gray."
    requirements = cfg['requirements'].split() + cfg['doctor_requirements'].split()
    python, megabytes = python_with(requirements, tmp_path / 'doctor')
    assert megabytes < MAX_MEGABYTES + 100, f'{megabytes:.0f} MB'
    (tmp_path / 'photos').mkdir()
    for i, file in enumerate(sorted(sample.glob('scenes/*.jpg'))[:6]):
        shutil.copy(file, tmp_path / 'photos' / f'{i}.jpg')
    shutil.copy(photo, tmp_path / 'photos' / 'twice.jpg')
    Image.open(photo).convert('L').save(tmp_path / 'photos' / 'gray.jpg')
    said = []
    for program, name in ((python, 'base'), (sys.executable, 'full')):
        env = os.environ | dict(COLORLAB_CACHE=str(tmp_path / name))
        args = [program, '-m', 'colorlab', 'doctor', 'photos', '--out', f'{name}.html']
        done = subprocess.run(args, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        said.append(done.stdout.replace(f'{name}.html', ''))
    assert said[0] == said[1] and 'twice.jpg' in said[0]
    assert (tmp_path / 'base.html').read_bytes() == (tmp_path / 'full.html').read_bytes()


@pytest.mark.parametrize('times', [2, 4])
def test_it_enlarges_as_the_full_install_does(base, tmp_path, times):
    "That needed torch."
    Image.open(photo).resize((90, 61)).save(tmp_path / 'small.png')
    results = []
    for python, out in ((base[0], 'base.png'), (sys.executable, 'full.png')):
        how = 'small.png', '--upscale', times, '--out', out
        done = run(python, '-m', 'colorlab', 'colorize', *how, cwd=tmp_path)
        assert not done.returncode, done.stderr
        results.append(np.asarray(Image.open(tmp_path / out)).astype(int))
    one, other = results
    assert one.shape == (61 * times, 90 * times, 3) and np.abs(one - other).max() <= 2
    assert read_provenance(tmp_path / 'base.png') == read_provenance(tmp_path / 'full.png')


@pytest.mark.parametrize(
    'args, extra',
    [
        (['doctor', '.'], 'doctor'),
        (['demo'], 'train'),
        (['film', 'x.mp4', '--out', 'y.mp4'], 'film'),
        (['export', 'lite', '--out', 'x.onnx'], 'onnx'),
        (['colorize', 'photo.jpg', '--model', 'hf:owner/name'], 'hub'),
        (['study', 'analyze', 'key.json'], 'study'),
        (['archive', '.', '--out', 'x'], 'archive'),
    ],
    ids=lambda x: x if isinstance(x, str) else x[0],
)
def test_a_missing_extra_is_one_line_that_names_it(base, tmp_path, args, extra):
    Image.open(photo).save(tmp_path / 'photo.jpg')
    done = run(base[0], '-m', 'colorlab', *args, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and f'pip install "colorlab[{extra}] @ git+' in done.stderr


def test_from_python_too(base, tmp_path):
    done = run(base[0], '-c', 'from colorlab import train', cwd=tmp_path)
    assert 'pip install "colorlab[train] @ git+' in done.stderr.splitlines()[-1]


def test_every_extra_brings_the_packages_that_it_is_named_for():
    brings = packages_distributions()
    for extra, packages in EXTRAS.items():
        asked = {plain(r) for r in cfg[f'{extra}_requirements'].split()}
        assert {plain(brings[p][0]) for p in packages.split()} <= asked, extra
        assert asked <= {plain(r) for r in cfg['all_requirements'].split()}, extra
