"""The user study: what the analysis finds that is not there, what it finds that is,
and thirty raters at once with a SIGKILL in the middle.

python benchmarks/study.py [simulations]     # 1,000 of each kind by default
python benchmarks/study.py load
"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

SERVE = 'import sys; from colorlab.survey_server import serve_study; serve_study(sys.argv[1], port=int(sys.argv[2]))'


def nested(raters, pictures):
    "R1's design: everybody sees all pictures, real and generated ones show different photos."
    return pd.DataFrame(
        [(r, f'{v}{p}', v) for r in range(raters) for v in ('v0', 'v1') for p in range(pictures)],
        columns=['rater', 'photo', 'version'],
    )


def latin(raters, photos, versions=2):
    "Ours: everybody sees each photo in one version."
    from colorlab.study import assign_seats, seats_table, trial_variants

    names = [f'v{i}' for i in range(versions)]
    return seats_table(
        assign_seats(photos, versions, raters, np.random.default_rng(7)), trial_variants('rating', names)
    )


def wilcoxon(table, y):
    "The paired test on each rater's two means, with normal approximation."
    from colorlab.crossed import indicator_matrix

    z, one, two = indicator_matrix(table.rater), *((table.version == v).to_numpy() for v in ('v0', 'v1'))
    return stats.wilcoxon(
        (z[one].T @ y[one]) / z[one].sum(0)[:, None] - (z[two].T @ y[two]) / z[two].sum(0)[:, None],
        axis=0,
        method='asymptotic',
    ).pvalue


def simulations(n=1000):
    "False positives and power, for several designs and spreads."
    from colorlab.crossed import difference_design, mean_design
    from colorlab.study import QUESTION_TYPES, component_names, plan_raters, simulate

    designs = {
        "R1's: 17 raters, 5 + 5 pictures": nested(17, 5),
        'ours: 32 raters, 16 photos': latin(32, 16),
        'ours: 12 raters, 8 photos': latin(12, 8),
        'ours, three versions: 24 raters, 18 photos': latin(24, 18, 3),
    }
    spreads = {
        'as assumed': {},
        'pictures differ twice as much': dict(picture=0.8),
        'tastes differ three times as much': dict(taste=0.6),
        'only answers differ': dict(photo=0, picture=0, taste=0),
    }
    worst = 0
    print(f'{"design":42} {"spread":34} crossed  Wilcoxon  power for .5: simulated, computed')
    for seed, (name, table) in enumerate(designs.items()):
        design = difference_design(table, 'v0', 'v1')
        for spread, change in spreads.items():
            rng = np.random.default_rng(seed)
            better = {v: 0.0 for v in table.version.unique()}
            null = simulate(table, better, rng, n, spread=change)
            half = simulate(table, better | {'v0': -0.25, 'v1': 0.25}, rng, n, spread=change)
            false = np.mean(design.estimate(null).p_value() < 0.05)
            found = np.mean(design.estimate(half).p_value() < 0.05)
            naive = np.mean(wilcoxon(table[design.rows], null[design.rows]) < 0.05)
            sd = QUESTION_TYPES['rating'].spread | change
            if table.groupby('photo').version.nunique().max() == 1:
                sd['picture'] = np.hypot(sd['picture'], sd['photo'])  # other photos: they differ too
            components = np.array([sd[k] ** 2 for k in component_names('rating')])
            variance, df = design.sampling_variance(components)
            computed = 1 - stats.nct.cdf(stats.t.isf(0.025, df), df, 0.5 / np.sqrt(variance))
            columns = f'{name:42} {spread:34} {false:6.1%}  {naive:7.1%}  {found:14.0%}, {computed:.0%}'
            print(columns, flush=True)
            worst = max(worst, false)
    for question_type, label in (('real', 'real or colorized'), ('pair', 'pairs')):
        plan = plan_raters(question_type, 24)
        table = latin(plan.raters, 24)
        if question_type == 'pair':  # one comparison of each photo: v0 chosen or not
            table = table.assign(version='v0')
            design, middle = mean_design(table), 0.5
            none, some = dict(v0=0), dict(v0=plan.min_effect)
        else:
            design, middle = difference_design(table, 'v0', 'v1'), 0
            none, some = dict(v0=0, v1=0), dict(v0=-plan.min_effect / 2, v1=plan.min_effect / 2)
        rng = np.random.default_rng(9)
        false, power = (
            np.mean(design.estimate(simulate(table, effects, rng, n, question_type)).p_value(middle) < 0.05)
            for effects in (none, some)
        )
        found = f'a difference of {plan.min_effect:g} found in {power:.0%}, planned {plan.power:.0%}'
        print(f'{label}: {plan.raters} raters, 24 photos: false {false:.1%}, {found}')
        worst = max(worst, false)
    print(f'most false positives: {worst:.1%}')
    return worst


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def serve(folder, port):
    "Start the service and wait until it answers."
    process = subprocess.Popen([sys.executable, '-c', SERVE, str(folder), str(port)])
    for _ in range(600):
        try:
            socket.create_connection(('127.0.0.1', port), timeout=1).close()
            return process
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError('the service does not start')


def post(port, path, what, token=''):
    "Status and JSON of one request."
    line = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    try:
        line.request('POST', path, json.dumps(what), {'Authorization': f'Bearer {token}'})
        got = line.getresponse()
        return got.status, json.loads(got.read())
    finally:
        line.close()


def patient(port, path, what, token='', times=None):
    "As the page does: what was not acknowledged is sent again. Keeps how long the one that was took."
    while True:
        began = time.perf_counter()
        try:
            got = post(port, path, what, token)
        except (OSError, http.client.HTTPException, ValueError):
            time.sleep(0.1)
        else:
            if times is not None:
                times.append(time.perf_counter() - began)
            return got


class Rater(threading.Thread):
    "Answers everything as fast as the service can, and remembers what was acknowledged."

    def __init__(self, port, number, choices, gate):
        super().__init__(daemon=True)
        self.port = port
        self.rng = np.random.default_rng(number)
        self.choices = choices
        self.gate = gate
        self.kept = {}  # trial -> answer that the service acknowledged
        self.times = []  # seconds of every acknowledged answer

    def run(self):
        me = patient(self.port, '/join', {})[1]
        self.name, self.token, trials = me['rater'], me['token'], me['trials']
        self.gate.wait()
        for trial in range(len(trials)):
            answer = str(self.rng.choice(self.choices))
            status, said = patient(
                self.port, '/answer', dict(trial=trial, answer=answer, seconds=1.0), self.token, self.times
            )
            assert status == 200, said
            self.kept[trial] = said['kept']


def load(folder, raters=30):
    "Many raters at once; the service is killed in the middle and started again. What was acknowledged must be there."
    from colorlab.survey_server import AnswerStore, read_design

    design, port, gate = read_design(folder), free_port(), threading.Barrier(raters)
    trials, process = len(design['seats'][0]), serve(folder, port)
    threads = [Rater(port, i, list(design['choices']), gate) for i in range(raters)]
    try:
        for r in threads:
            r.start()
        while sum(len(r.kept) for r in threads) < raters * trials // 2:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        acknowledged = {(r.name, t): a for r in threads for t, a in list(r.kept.items())}
        stored = {(r, t): a for r, t, _, a, _ in AnswerStore(Path(folder) / 'answers.sqlite').table()}
        lost = [k for k, a in acknowledged.items() if stored.get(k) != a]
        process = serve(folder, port)
        for r in threads:
            r.join(120)
    finally:
        process.kill()
    process.wait()
    stored = {(r, t): a for r, t, _, a, _ in AnswerStore(Path(folder) / 'answers.sqlite').table()}
    lost += [(r.name, t) for r in threads for t, a in r.kept.items() if stored.get((r.name, t)) != a]
    times = np.sort(np.concatenate([r.times for r in threads]))
    return dict(
        raters=raters,
        trials=trials,
        at_kill=len(acknowledged),
        lost=len(lost),
        stored=len(stored),
        expected=raters * trials,
        median_ms=round(1e3 * np.median(times)),
        p95_ms=round(1e3 * times[int(0.95 * len(times))]),
        slowest_ms=round(1e3 * times[-1]),
    )


def small_study(folder, photos=12, **options):
    "A study of sample photos and a paler version."
    from PIL import Image

    from colorlab.images import open_photo, photo_files, sample_folder
    from colorlab.survey import build_study

    folder = Path(folder)
    for name in ('truth', 'pale'):
        (folder / name).mkdir(parents=True)
    for f in photo_files(sample_folder())[: 2 * photos : 2]:
        img = open_photo(sample_folder() / f)
        img.save(folder / 'truth' / Path(f).name)
        Image.blend(img, img.convert('L').convert('RGB'), 0.5).save(folder / 'pale' / f'{Path(f).stem}.png')
    return build_study(folder / 'truth', dict(pale=folder / 'pale'), folder / 'study', **dict(raters=30) | options)


if __name__ == '__main__':
    if sys.argv[1:] == ['load']:
        with tempfile.TemporaryDirectory() as tmp:
            small_study(tmp, photos=48)
            print(load(Path(tmp) / 'study'))
    else:
        sys.exit(simulations(*map(int, sys.argv[1:])) > 0.069)
