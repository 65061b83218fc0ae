"""The main job, small: learn, be interrupted, go on, color, write the page."""

import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from conftest import colorlab

SMALL = '--size', '64', '--epochs', '8', '--no-browser'


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'img':
            self.images.append(attrs['src'])
        self.links += [v for k, v in attrs.items() if k in ('src', 'href') and not v.startswith(('data:', '#'))]


def test_demo_goes_on_after_ctrl_c_and_leaves_one_page(tmp_path):
    process = subprocess.Popen(
        [Path(sys.executable).with_name('colorlab'), 'demo', '--out', 'd', *SMALL],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    checkpoints = tmp_path / 'd' / 'run' / 'checkpoints'
    while not (checkpoints.exists() and list(checkpoints.glob('*.pt'))):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and 'goes on' in err and not (tmp_path / 'd' / 'report.html').exists()

    done = colorlab('demo', '--out', 'd', *SMALL[-1:], cwd=tmp_path)
    assert 'look at d/report.html' in done.stdout
    history = pd.read_csv(tmp_path / 'd' / 'run' / 'history.csv')
    assert list(history.epoch) == list(range(1, 9))

    page = Page((tmp_path / 'd' / 'report.html').read_text())
    assert len(page.images) >= 3 * 66 and not page.links  # 66 unseen photos, nothing fetched
    scores = pd.read_csv(tmp_path / 'd' / 'scores.csv').groupby('who').mean(numeric_only=True)
    assert (
        scores.psnr['this network'] > scores.psnr['gray'] and scores.ab_rmse['this network'] < scores.ab_rmse['mean-ab']
    )

    before = (tmp_path / 'd' / 'report.html').stat().st_mtime_ns
    colorlab('demo', '--out', 'd', *SMALL, cwd=tmp_path)  # a second run has nothing to do
    assert (tmp_path / 'd' / 'report.html').stat().st_mtime_ns == before
    other = colorlab('demo', '--out', 'd', '--epochs', 3, cwd=tmp_path, check=False)
    assert other.returncode == 1 and '--fresh' in other.stderr and other.stderr.count('\n') == 1
