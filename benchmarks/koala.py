"""What the classifier is worth to a small Koala, for lesson koala: the table's again, with its control and more seeds.

python benchmarks/koala.py FOLDER           # after course.py with this FOLDER; a quarter of an hour on one core
Writes colorlab/assets/koala.csv: a row a network, seed and test photo. Each trains for 300 seconds, as in course.py.
"""

import sys
from pathlib import Path

import pandas as pd
from course import ASSETS, COLUMNS, KOALA, METHODS, SECONDS, SIZE, SMALL

from colorlab.compare import compare_systems
from colorlab.presets import REPORT_GENERATORS, ReportGenerator
from colorlab.tournament import Budget, System
from colorlab.tournament_scores import read_scores, system_scores

SEEDS = 1, 2
REPORT_GENERATORS['control-koala'] = ReportGenerator('', KOALA, SMALL)  # its classifier keeps its random weights
NETWORKS = {'pretrained': METHODS['small Koala'], 'random': System('control-koala', 'none')}


def main(out):
    systems, tables = [*NETWORKS.values()], []
    for seed in SEEDS:
        compare_systems('sample', out, systems, Budget(SECONDS), [seed], size=SIZE, perceptual=False)
        scores = read_scores(systems, [seed], out)
        tables += [system_scores(s, [seed], scores).assign(method=name, seed=seed) for name, s in NETWORKS.items()]
        pd.concat(tables)[[*COLUMNS, 'seed']].round(3).to_csv(ASSETS / 'koala.csv', index=False)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
