"A tournament through the real command: killed and gone on with, two processes at once, bad input."

import json
import shutil
import signal

import pandas as pd
import pytest
from conftest import Running, colorlab

from colorlab.cli import app
from colorlab.compare import compare_systems, report_tournament
from colorlab.images import BadInput
from colorlab.metrics import BASELINES
from colorlab.tournament import Budget, System, one_at_a_time, plan_stages, stage_done
from colorlab.tournament_scores import same_photos

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


def marks(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in out.rglob('marks.csv')}


@pytest.fixture
def many(photos):  # a split needs 16 photos to train with
    for f in list(photos.rglob('*.jpg'))[:6]:
        shutil.copy(f, f.with_name(f'again {f.name}'))
    return photos


def test_killed_it_goes_on_and_two_processes_share_the_work(many, tmp_path):
    out = tmp_path / 'cup'
    first = Running('compare', '--data', many, '--out', out, *ARGS)
    first.wait_for(lambda: marks(out))
    first.end(signal.SIGKILL)
    done = marks(out)
    assert 0 < len(done) < 4
    two = [Running('compare', '--data', many, '--out', out, *ARGS) for _ in range(2)]
    for running in two:
        ended = running.end()
        assert ended.returncode == 0, ended.stderr
    after = marks(out)
    assert len(after) == 4 and {k: after[k] for k in done} == done
    table = pd.read_csv(out / 'test.csv', index_col=0)
    assert list(table.index) == [*BASELINES, 'r2-autoencoder · none · lab · all · 1.0 · warm', 'disc: patch']
    assert table['seeds ±'].iloc[-2:].notna().all()
    assert table['PSNR is'].iloc[-2:].str.contains('|'.join(BASELINES)).all()  # who stands above and below it
    said = json.loads((out / 'conclusions.json').read_text())['test']
    assert said['Beside the baselines'][0].startswith('PSNR: of 2 rows')
    page = (out / 'report.html').read_text()
    assert 'disc: patch' in page and said['Each change'][0] in page
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
        (['--amount', 0.1], 'too few'),
        (['--gen', 'r2-unet', '--disc', 'none'], '64 pixels'),
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


SMALL = dict(size=64, narrow=4, bs=4, perceptual=False, device='cpu', limit=6)


def test_one_system_and_less_than_an_epoch(many, tmp_path):
    "No factor is varied, and no epoch has ended: there is a page all the same."
    one = [System('r2-autoencoder', 'none')]
    tables = compare_systems(str(many), tmp_path / 'cup', one, Budget(4, 'photos'), [1], **SMALL)
    assert len(tables['test']) == 4  # the baselines and the system
    assert not list((tmp_path / 'cup').rglob('history.csv'))
    assert (tmp_path / 'cup' / 'report.html').stat().st_size > 10_000


def test_a_tournament_grows_in_its_folder(many, tmp_path):
    "More systems, more seeds, more parts: what was half of a game becomes a system of its own."
    cup, budget = tmp_path / 'cup', Budget(96, 'photos')
    game = one_at_a_time(gen=['r2-autoencoder'], disc=['patch'])
    compare_systems(str(many), cup, game, budget, [1], **SMALL)
    games = {p: p.stat().st_mtime_ns for p in cup.glob('runs/*_patch_*/marks.csv')}
    both = one_at_a_time(gen=['r2-autoencoder'], disc=['patch', 'none'])
    tables = compare_systems(str(many), cup, both, budget, [1], **SMALL)
    assert list(tables['test'].index[-1:]) == ['disc: none'] and all(stage_done(s, cup) for s in plan_stages(both, [1]))
    tables = compare_systems(str(many), cup, both, budget, [1, 2], **SMALL)
    assert tables['test']['seeds ±'].iloc[-2:].astype(bool).all()
    more = [*both, System('r2-autoencoder', photos='jpg')]
    tables = compare_systems(str(many), cup, more, budget, [1, 2], parts=dict(jpg='jpg$'), **SMALL)
    assert 'test, jpg' in tables and tables['test'].index[-1] == 'photos: jpg'
    tables = compare_systems(str(many), cup, both, budget, [1], **SMALL)  # the part is not forgotten
    assert 'test, jpg' in tables and {p: p.stat().st_mtime_ns for p in games} == games
    with pytest.raises(BadInput, match='other parts'):
        compare_systems(str(many), cup, more, budget, [1], parts=dict(jpg='png$'), **SMALL)


def test_on_a_disk_without_locks_there_is_one_clear_line(many, tmp_path, monkeypatch):
    "What filelock raises on a mounted Drive, by its version."
    systems, budget = [System('r2-autoencoder', 'none')], Budget(4, 'photos')
    for error in (NotImplementedError('FileSystem does not appear to support flock'), OSError(38, 'not implemented')):

        def acquire(self, *args, error=error, **options):
            raise error

        with monkeypatch.context() as m:
            m.setattr('colorlab.tournament.FileLock.acquire', acquire)
            with pytest.raises(BadInput, match='knows no locks .*set COLORLAB_CACHE') as e:
                compare_systems(str(many), tmp_path / 'cup', systems, budget, [1], **SMALL)
            assert '\n' not in str(e.value)


def test_scores_are_made_again_for_other_photos_or_another_metric(many, tmp_path):
    cup, systems, budget = tmp_path / 'cup', [System('r2-autoencoder', 'none')], Budget(4, 'photos')
    compare_systems(str(many), cup, systems, budget, [1], **SMALL)
    (path,) = cup.glob('scores/*.csv')
    assert len(pd.read_csv(path).query('set == "sample" and mark == 1')) == 6
    stamp = path.stat().st_mtime_ns
    report_tournament(cup, systems, [1], perceptual=False, limit=6)
    assert path.stat().st_mtime_ns == stamp  # nothing to do
    scores = pd.read_csv(path)
    assert same_photos(scores, {}, '-', 1.0) and not same_photos(scores, {}, 'LPIPS', 1.0)
    report_tournament(cup, systems, [1], perceptual=False, limit=9)
    assert len(pd.read_csv(path).query('set == "sample" and mark == 1')) == 9
