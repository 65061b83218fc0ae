"""The main job, small: learn, be interrupted, go on, color, write the page."""

import signal
from html.parser import HTMLParser

import pandas as pd
import pytest
from conftest import Running, colorlab

from colorlab import demo
from colorlab.data import Manifest
from colorlab.images import BadInput
from colorlab.planning import MIN_EPOCHS, StepTime, fit_epochs_into

SMALL = '--size', '48', '--epochs', '6', '--no-browser'


@pytest.fixture
def few(monkeypatch):
    "A page with every sixth of the 66 photos."
    whole = demo.demo_manifest

    def thinned(folder):
        manifest = whole(folder)
        unseen = manifest.subset('test')
        rest = manifest.table[manifest.table.split != 'test']
        return Manifest(manifest.folder, pd.concat([rest, unseen.iloc[::6]], ignore_index=True))

    monkeypatch.setattr(demo, 'demo_manifest', thinned)


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
    running = Running('demo', '--out', 'd', *SMALL, cwd=tmp_path)
    running.wait_for(lambda: [*tmp_path.glob('d/run/checkpoints/*.pt')])
    stopped = running.end(signal.SIGINT)
    assert stopped.returncode == 130 and 'goes on' in stopped.stderr
    assert not (tmp_path / 'd' / 'report.html').exists()

    done = colorlab('demo', '--out', 'd', *SMALL[-1:], cwd=tmp_path)
    assert 'look at d/report.html' in done.stdout
    history = pd.read_csv(tmp_path / 'd' / 'run' / 'history.csv')
    assert list(history.epoch) == list(range(1, 7))

    page = Page((tmp_path / 'd' / 'report.html').read_text())
    assert len(page.images) >= 3 * 66 and not page.links  # 66 unseen photos, nothing fetched
    scores = pd.read_csv(tmp_path / 'd' / 'scores.csv').groupby('method').mean(numeric_only=True)
    assert (
        scores.psnr['this network'] > scores.psnr['gray'] and scores.ab_rmse['this network'] < scores.ab_rmse['mean-ab']
    )

    before = (tmp_path / 'd' / 'report.html').stat().st_mtime_ns
    colorlab('demo', '--out', 'd', *SMALL, cwd=tmp_path)  # a second run has nothing to do
    assert (tmp_path / 'd' / 'report.html').stat().st_mtime_ns == before
    other = colorlab('demo', '--out', 'd', '--epochs', 3, cwd=tmp_path, check=False)
    assert other.returncode == 1 and '--fresh' in other.stderr and other.stderr.count('\n') == 1


def test_the_plan_fits_any_machine():
    "Three minutes on machines that take from 0.02 to 60 seconds for a step."
    for seconds in (0.02, 0.1, 0.5, 2.0, 10.0, 60.0):
        for size in MIN_EPOCHS:
            plan = fit_epochs_into(StepTime(size, seconds, 1), 180, 182, 28)
            assert plan.seconds <= 180 and plan.steps == 11 * plan.epochs
            assert plan.epochs == 0 or MIN_EPOCHS[size] <= plan.epochs <= 60


def slow_step(settings, manifest, device, counts, seconds):
    return StepTime(settings.size, seconds * (settings.size / 64) ** 2, counts[-1])


@pytest.mark.parametrize('seconds, size, epochs', [(0.02, 128, 60), (0.2, 128, 13), (0.9, 64, 12)])
def test_a_slow_machine_gets_less(monkeypatch, seconds, size, epochs):
    monkeypatch.setattr('colorlab.planning.measure_step', lambda *args: slow_step(*args, seconds=seconds))
    plan = demo.plan_demo(3, {})
    assert plan.size == size and abs(plan.epochs - epochs) <= 2 and plan.seconds <= 135


def test_a_machine_that_is_too_slow_shows_the_shipped_model(few, monkeypatch, tmp_path):
    "Nothing is trained, and the page says so."
    monkeypatch.setattr('colorlab.planning.measure_step', lambda *args: slow_step(*args, seconds=60))
    page = demo.run_demo(tmp_path / 'd')
    text = page.read_text(encoding='utf-8')
    assert 'has learned nothing' in text and 'How it learned' not in text and not (tmp_path / 'd' / 'run').exists()
    scores = pd.read_csv(tmp_path / 'd' / 'scores.csv').groupby('method').mean(numeric_only=True)
    assert scores.psnr['this network'] > scores.psnr['gray']
    assert demo.run_demo(tmp_path / 'd') == page


def test_an_interrupted_demo_keeps_its_plan(few, monkeypatch, tmp_path):
    "Stopped between plan and training, it does not measure again."
    plan = demo.DemoPlan(3, 32, 2, 12.5)
    plan.save(tmp_path / 'd')
    monkeypatch.setattr(demo, 'plan_demo', lambda *_: pytest.fail('planned again'))
    text = demo.run_demo(tmp_path / 'd').read_text(encoding='utf-8')
    assert demo.load_plan(tmp_path / 'd') == plan
    assert '22 steps in 2 epochs at 32 pixels' in text and 'planned: 12' in text


def test_fresh_deletes_only_what_a_demo_made(monkeypatch, tmp_path):
    out = tmp_path / 'd'
    (out / 'colored').mkdir(parents=True)
    mine = out / 'colored' / 'mine.jpg'
    mine.write_bytes(b'mine')
    for fresh in (False, True):  # nothing here says that a demo made it
        with pytest.raises(BadInput, match='choose another folder'):
            demo.run_demo(out, fresh)
    assert mine.exists()
    demo.DemoPlan(3, 64, 2).save(out)
    demo.remove_demo(out)
    assert [p.name for p in out.rglob('*')] == ['colored', 'mine.jpg']


def test_no_time_is_refused(tmp_path):
    with pytest.raises(BadInput, match='no time'):
        demo.run_demo(tmp_path / 'd', minutes=0)
    assert not (tmp_path / 'd').exists()
