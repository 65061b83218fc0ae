"""How long the lessons are, beside what they say of themselves: `python benchmarks/lessons.py [LOG]`.

Reading, without exercises: 200 words of prose a minute, 3 seconds a line of code that is shown, 15 seconds a figure.
Running: processor seconds of each lesson in a process of its own, its imports included; or, with the LOG of `make test`
on an idle machine, the seconds that this says, where the imports are shared.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

root = Path(__file__).parents[1]
NOT_READ = '#| hide', '#| default_exp', '#| eval: false'
EXERCISES = re.compile(r'^(## |\*\*)Exercises', re.M)


def words(text: str) -> int:
    "Words of prose, without addresses, formulas and quoted code blocks."
    text = re.sub(r'```.*?```|\$\$.*?\$\$', ' ', text, flags=re.S)
    text = re.sub(r'\]\([^)]*\)|<[^>]+>', ' ', text)
    return len(re.findall(r"[^\W\d_][\w'’-]*", text))


def read_lesson(path: Path) -> dict:
    "What is read of a lesson: words, code cells, lines of code and figures before the exercises; what it states."
    found = dict(words=0, cells=0, lines=0, figures=0, stated='')
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            before, *exercises = EXERCISES.split(source, maxsplit=1)
            found['words'] += words(before)
            found['stated'] = found['stated'] or stated_times(source)
            if exercises:
                break
        elif not source.startswith(NOT_READ):
            found['cells'] += 1
            found['lines'] += sum(bool(line.strip()) for line in source.splitlines())
            found['figures'] += sum(f'image/{kind}' in str(cell['outputs']) for kind in ('png', 'jpeg'))
    return found


def stated_times(source: str) -> str:
    "What a lesson says of its own time, in parentheses."
    found = re.search(r'\(([^()]*minutes to read[^()]*)\)', source)
    return found[1].split('. ')[0] if found else ''


def reading_minutes(found: dict) -> float:
    "By the rule above."
    return found['words'] / 200 + (3 * found['lines'] + 15 * found['figures']) / 60


def run_seconds(path: Path) -> float:
    "Processor seconds of a lesson, run whole and small as the tests do."
    env = os.environ | dict(IN_TEST='1', OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')
    command = [Path(sys.executable).with_name('nbdev-test'), path, '--n-workers', '0']
    process = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f'{path.name} fails')
    return usage.ru_utime + usage.ru_stime


def logged_seconds(log: str) -> dict:  # file name -> seconds
    "What `make test` said; solutions are named like their lessons and shorter."
    seconds = {}
    for name, took in re.findall(r'^(\d\d_\w+\.ipynb): (\d+) secs', log, re.M):
        seconds[name] = max(int(took), seconds.get(name, 0))
    return seconds


if __name__ == '__main__':
    logged = logged_seconds(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else {}
    print('| lesson | words | code cells | words a cell | minutes to read | seconds to run | it says |')
    print('|---|---|---|---|---|---|---|')
    for path in sorted((root / 'nbs').glob('[0-9]*.ipynb')):
        found = read_lesson(path)
        took = logged[path.name] if logged else round(run_seconds(path))
        row = [path.stem.split('_', 1)[1], found['words'], found['cells'], round(found['words'] / found['cells'])]
        print(f'| {" | ".join(map(str, [*row, round(reading_minutes(found)), took, found["stated"]]))} |')
