"""Many photos by several processes: the same bytes, a process that is killed, and Ctrl-C."""

import multiprocessing
import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import Running
from PIL import Image
from platforms.machine import unshare
from threadpoolctl import threadpool_info, threadpool_limits

from colorlab.cli_colorize import own_process
from colorlab.colorize import color_files
from colorlab.colorizer import Colorizer, torch_colorizer
from colorlab.images import BadInput


@pytest.fixture
def shoebox(tmp_path):
    "Eight small photos, and a letter."
    (tmp_path / 'in').mkdir()
    rng = np.random.default_rng(42)
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (30 + i, 40), np.uint8)).save(tmp_path / 'in' / f'{i}.png')
    (tmp_path / 'in' / 'letter.jpg').write_text('Dear photo')
    return tmp_path / 'in'


def pixels(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_the_same_bytes_in_the_same_order_though_a_process_is_killed(shoebox, tmp_path):
    colorizer, killed, before = Colorizer.from_pretrained('lite'), [], set(multiprocessing.active_children())

    def kill_one(outcome):
        workers = set(multiprocessing.active_children()) - before
        if workers and outcome.status == 'colored' and not killed:
            killed.append(workers.pop())
            os.kill(killed[0].pid, signal.SIGKILL)

    one = color_files(colorizer, [shoebox], tmp_path / 'one', progress=False)
    two = color_files(colorizer, [shoebox], tmp_path / 'two', progress=False, jobs=2, tell=kill_one)
    assert killed and pixels(tmp_path / 'one') == pixels(tmp_path / 'two') and len(pixels(tmp_path / 'two')) == 8
    assert [p.name for p in one.done] == [p.name for p in two.done] and one.failed == two.failed != []
    again = color_files(colorizer, [shoebox], tmp_path / 'two', progress=False, jobs=2)
    assert len(again.skipped) == 8 and set(multiprocessing.active_children()) == before


def test_ctrl_c_ends_all_processes_in_order(shoebox):
    running = Running('colorize', shoebox, '--jobs', 2, '--json', cwd=shoebox.parent)
    running.wait_for(lambda: 'colored"' in running.output())
    done = running.end(signal.SIGINT)
    assert done.returncode == 130 and 'nothing is lost' in done.stderr and 'Traceback' not in done.stderr
    assert not list(shoebox.parent.rglob('.*.part'))


def test_more_than_one_job_needs_onnx(shoebox, tmp_path):
    for jobs, colorizer in ((0, Colorizer.from_pretrained('lite')), (2, torch_colorizer('lite', 'cpu'))):
        with pytest.raises(BadInput, match='for more, a model in ONNX'):
            color_files(colorizer, [shoebox], tmp_path / 'out', progress=False, jobs=jobs)


def test_a_log_file_gets_lines_with_the_time_left(shoebox, monkeypatch, capsys):
    monkeypatch.setenv('COLORLAB_PROGRESS_SECONDS', '0')
    color_files(Colorizer.from_pretrained('lite'), [shoebox], dry_run=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 8 and lines[0].startswith('coloring: 1 of 9 photos, about 1 second left')


def test_numpy_multiplies_by_one_thread_while_a_command_colors():
    def threads():
        return {lib['num_threads'] for lib in threadpool_info() if lib['user_api'] == 'blas'}

    with threadpool_limits(2, 'blas'):
        with own_process():
            assert threads() == {1}
        assert threads() == {2}


@pytest.mark.skipif(unshare() is None, reason='this system gives a process no mounts of its own')
def test_where_processes_can_share_nothing_one_colors(shoebox, tmp_path):
    locked = 'mount -t tmpfs -o ro tmpfs /dev/shm'

    def colorize(*options):
        args = map(shlex.quote, map(str, [sys.executable, '-m', 'colorlab', 'colorize', shoebox, *options]))
        command = [*unshare(), 'sh', '-c', f'{locked} && {" ".join(args)}']
        return subprocess.run(command, capture_output=True, text=True)

    asked = colorize('--out', tmp_path / 'out', '--jobs', 2)
    assert asked.returncode == 1 and '/dev/shm' in asked.stderr.splitlines()[-1], asked.stderr
    done = colorize('--out', tmp_path / 'out')
    assert '8 photos colored' in done.stdout and 'letter.jpg' in done.stderr, done.stderr
