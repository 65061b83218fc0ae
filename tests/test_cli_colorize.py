"""`colorlab colorize` as people type it: beside the photos, nothing written over, a second run does what is missing."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from conftest import colorlab
from PIL import Image

from colorlab.cli_colorize import inspected_files

gray = Image.fromarray(np.random.default_rng(42).integers(0, 256, (48, 64), np.uint8))


@pytest.fixture
def album(tmp_path):
    "A photo, and a folder of two with a subfolder, the way they lie on somebody's disk."
    (tmp_path / 'album' / 'sub').mkdir(parents=True)
    for name in ('photo.jpg', 'album/a.png', 'album/sub/b.jpg'):
        gray.save(tmp_path / name)
    return tmp_path


def files(folder):
    "All files below a folder, with what they hold."
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_results_lie_beside_the_originals_and_the_second_run_does_what_is_missing(album):
    before = files(album)
    trial = colorlab('colorize', 'photo.jpg', 'album', '--dry-run', cwd=album).stdout
    assert files(album) == before and '3 photos would be colored into photo.colored.jpg, album.colored' in trial
    assert 'album/sub/b.jpg -> album.colored/sub/b.jpg' in trial
    done = colorlab('colorize', 'photo.jpg', 'album', cwd=album)
    assert done.stdout == '3 photos colored into photo.colored.jpg, album.colored\n'
    after = files(album)
    made = {'photo.colored.jpg', 'album.colored/a.png', 'album.colored/sub/b.jpg'}
    assert set(after) == set(before) | made and before.items() <= after.items()
    (album / 'album.colored' / 'a.png').unlink()
    everything = sorted(p.name for p in album.iterdir())  # what a shell makes of *
    again = colorlab('colorize', *everything, '--json', cwd=album).stdout.splitlines()
    status = {line['file']: line['status'] for line in map(json.loads, again)}
    assert status == {'photo.jpg': 'there', 'album/a.png': 'colored', 'album/sub/b.jpg': 'there'}
    assert files(album) == after  # the same bytes again, and nothing else


def test_files_of_others_stay(album):
    "The name of a result may be taken; a photo called like a result may be an original."
    gray.rotate(180).save(album / 'photo.colored.jpg')
    before = files(album)
    done = colorlab('colorize', 'photo.jpg', '--json', cwd=album, check=False)
    line = json.loads(done.stdout)
    assert done.returncode == 1 and line['status'] == 'failed' and '--force' in line['error']
    both = colorlab('colorize', 'photo.jpg', 'photo.colored.jpg', '--force', cwd=album, check=False)
    assert both.returncode == 1 and 'is an original and would be written over' in both.stderr
    assert files(album) == before
    colorlab('colorize', 'photo.colored.jpg', cwd=album)
    assert set(files(album)) == set(before) | {'photo.colored.colored.jpg'}
    done = colorlab('colorize', 'photo.colored.colored.jpg', cwd=album, check=False)
    assert done.returncode == 1 and 'is a result of colorlab; give the original' in done.stderr


def test_results_between_originals_are_no_originals(album):
    "With variants, uncertainty and a sidecar beside the photo, the folder still holds one photo."
    (album / 'album' / 'a.png').unlink()
    os.rename(album / 'photo.jpg', album / 'album' / 'sub' / 'photo.bmp.jpg')
    colorlab('colorize', 'b.jpg', '--uncertainty', '--sidecar', cwd=album / 'album' / 'sub')
    colorlab('colorize', 'b.jpg', '--variants', 2, cwd=album / 'album' / 'sub')
    assert len(list((album / 'album' / 'sub').glob('b.colored*'))) >= 4
    lines = colorlab('colorize', '.', '--dry-run', '--json', cwd=album / 'album').stdout.splitlines()
    planned = [json.loads(line) for line in lines]
    assert sorted(Path(p['file']).name for p in planned) == ['b.jpg', 'photo.bmp.jpg']
    assert all(Path(p['result']).parts[-3] == 'album.colored' and p['dry_run'] for p in planned)


def test_what_is_older_beside_a_new_result_is_named_and_with_force_removed(album):
    "Variants and uncertainty of another coloring stayed, and looked as if they belonged to it."

    def colorize(*options):
        return colorlab('colorize', 'photo.jpg', *options, cwd=album).stdout

    colorize('--uncertainty')
    colorize('--variants', 3)
    made = {p.name for p in album.glob('photo.colored*')}
    older = {f'photo.colored.variant{i}.jpg' for i in range(1, len(made) - 1)}
    assert older and made == older | {'photo.colored.jpg', 'photo.colored.jpg.uncertainty.png'}
    before = files(album)
    assert 'older' not in colorize('--force') and files(album) == before  # all of it is of one coloring
    said = colorize('--vividness', 1.5)
    assert set(files(album)) == set(before) and 'variant1.jpg' in said and '--force removes' in said
    assert 'uncertainty' not in said  # which does not depend on it
    gray.save(album / 'photo.colored.variant7.jpg')  # somebody's own
    said = colorize('--hint', '9,9,#ff0000', '--force')
    left = {p.name for p in album.glob('photo.colored*')}
    assert left == {'photo.colored.jpg', 'photo.colored.variant7.jpg'} and 'removed what was older: photo.col' in said
    colorize('--variants', 2, '--uncertainty')
    (album / 'photo.colored.jpg').unlink()
    before = files(album)
    colorize('--vividness', 2, '--force')  # what is kept of a result that is gone is no leftover
    assert files(album).items() >= before.items()


def test_a_place_where_nothing_may_be_written_costs_its_own_photos(album, monkeypatch, capsys):
    from colorlab.cli import app

    access, locked = os.access, [(os.W_OK, 'album.colored'), (os.W_OK, 'sub')]
    monkeypatch.setattr(os, 'access', lambda path, mode: access(path, mode) and (mode, Path(path).name) not in locked)
    with pytest.raises(SystemExit) as end:
        app(['colorize', str(album / 'album'), str(album / 'photo.jpg')])
    said = capsys.readouterr()
    assert end.value.code == 1 and '1 photo colored' in said.out and (album / 'photo.colored.jpg').exists()
    assert len(said.err.splitlines()) == 2 and said.err.count('nothing may be written there') == 2


def test_inspect_takes_files_and_folders(album):
    colorlab('colorize', 'album', cwd=album)
    (album / 'letter.jpg').write_text('Dear photo')
    (album / 'album' / '._clip.mov').write_text('what a Mac writes beside a film')
    done = colorlab('inspect', 'album', 'album.colored', 'photo.jpg', 'letter.jpg', '--json', cwd=album, check=False)
    said = {line['file']: line['colorized'] for line in map(json.loads, done.stdout.splitlines())}
    want = {f'album{end}/{name}': bool(end) for end in ('', '.colored') for name in ('a.png', 'sub/b.jpg')}
    assert said == want | {'photo.jpg': False}
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and 'letter.jpg' in done.stderr
    (album / 'album' / 'clip.MOV').touch()
    assert [file.name for file in inspected_files([album / 'album'])] == ['a.png', 'clip.MOV', 'b.jpg']


def test_one_page_of_before_and_after(album):
    "It lies with the results, shows those of an earlier run too, and is written over only if it is ours."
    colorlab('colorize', 'album', cwd=album)
    (album / 'album' / 'letter.jpg').write_text('Dear photo')
    page, said = album / 'album.colored' / 'before-after.html', album / 'photo.colored.jpg.html'
    done = colorlab('colorize', 'album', '--page', cwd=album, check=False)
    assert done.returncode == 1 and 'look at album.colored/before-after.html' in done.stdout
    text = page.read_text()
    assert text.count('type="range"') == 2 and text.count('<li>') == 1 and 'album/letter.jpg: cannot be read' in text
    assert text.index('alt="a.png') < text.index('alt="b.jpg')
    lines = colorlab('colorize', 'photo.jpg', '--variants', 2, '--page', '--json', cwd=album).stdout.splitlines()
    assert json.loads(lines[-1]) == dict(page='photo.colored.jpg.html') and 'photo.jpg, variant 1' in said.read_text()
    said.write_text('my own')
    for options in ((), ('--force',)):
        again = colorlab('colorize', 'photo.jpg', '--page', *options, cwd=album, check=False)
        assert again.returncode == 1 and again.stderr.count('\n') == 1 and 'is no page of colorlab' in again.stderr
    assert said.read_text() == 'my own' and not (album / 'photo.colored.jpg').exists()


def test_exit_codes_version_and_completion(album):
    env = dict(os.environ, TERM='dumb', COLUMNS='200')
    assert colorlab('--version', cwd=album).stdout == f'colorlab {version("colorlab")}\n'
    said = colorlab('--help', env=env).stdout
    for words in ('0, all is done', '1, something', '2, the command', '130, it was', '--install-completion'):
        assert words in said
    assert colorlab('colorize', 'photo.jpg', '--nonsense', cwd=album, check=False).returncode == 2
    shell = dict(env, _COLORLAB_COMPLETE='complete_bash', COMP_WORDS='colorlab colo', COMP_CWORD='1')
    assert colorlab(env=shell).stdout.strip() == 'colorize'
