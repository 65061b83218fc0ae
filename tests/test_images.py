"Pictures, bars and pages: what the notebooks cannot see for themselves."

import os
import subprocess
import sys
from contextlib import suppress

import pytest

COUNT = 'from colorlab.images import progress_bar; print(*progress_bar(range(3), desc="counting", mininterval=0))'


@pytest.fixture
def bars_allowed(monkeypatch):
    "As a user has it: the command has not turned the bars off."
    monkeypatch.delenv('TQDM_DISABLE', raising=False)


def test_no_bar_in_a_log_file(bars_allowed):
    done = subprocess.run([sys.executable, '-c', COUNT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['0', '1', '2']
    assert done.stderr == ''


def test_a_bar_in_a_terminal(bars_allowed):
    termios = pytest.importorskip('termios')
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    subprocess.run([sys.executable, '-c', COUNT], stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.close(theirs)
    drawn = b''
    with suppress(OSError):  # how Linux says that the other end is closed
        while some := os.read(ours, 4096):
            drawn += some
    os.close(ours)
    assert b'counting' in drawn and b'3/3' in drawn


@pytest.mark.parametrize('wanted', [True, False])
def test_the_caller_may_decide(bars_allowed, wanted):
    command = COUNT.replace('mininterval=0', f'mininterval=0, disable={not wanted}')
    done = subprocess.run([sys.executable, '-c', command], capture_output=True, text=True, check=True)
    assert ('3/3' in done.stderr) == wanted
