"""Run a notebook top to bottom, as "run all" does, in a process of its own that can be killed.

python run_notebook.py NOTEBOOK TIMES [NAME=VALUE ...]: TIMES in the same kernel, lines `NAME = …` changed.
It prints what the cells print, when each run began and how long it took, and the peak of its memory.
With COPY_OFTEN every checkpoint goes to Drive.
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell


def code_cells(notebook, changes):
    "The code of a notebook, with the first assignments to some names changed."
    cells = [''.join(c['source']) for c in json.loads(Path(notebook).read_text())['cells'] if c['cell_type'] == 'code']
    for name, value in changes.items():
        changed = [re.sub(rf'^{name} = .*$', f'{name} = {value}', cell, flags=re.M) for cell in cells]
        if changed == cells:
            sys.exit(f'{notebook} has no line "{name} = …"')
        cells = changed
    return cells


def show_as_browser(shell):
    "Let results be made as a browser gets them, too; the list that is returned grows if that fails."
    shell.display_formatter.active_types = ['text/plain', 'text/html']
    failures, show = [], shell.showtraceback
    shell.showtraceback = lambda *args, **kwargs: failures.append(args) or show(*args, **kwargs)
    return failures


def run_all(shell, cells, failures):
    "Run the cells until one fails, or what it shows cannot be shown."
    for i, cell in enumerate(cells):
        print(f'[cell {i}]', flush=True)
        if not shell.run_cell(cell, store_history=True).success or failures:
            sys.exit(f'cell {i} failed:\n{cell}')


if __name__ == '__main__':
    notebook, times, *changes = sys.argv[1:]
    shell = InteractiveShell.instance(colors='NoColor')
    shell.InteractiveTB.set_mode('Plain')
    failures = show_as_browser(shell)
    if 'COPY_OFTEN' in os.environ:  # at every checkpoint, not every twenty minutes
        from colorlab.workspace import Workspace

        Workspace.callbacks.__defaults__ = (0,)
    cells = code_cells(notebook, dict(change.split('=', 1) for change in changes))
    for _ in range(int(times)):
        began = time.time()
        run_all(shell, cells, failures)
        print(f'[began {began:.2f}, took {time.time() - began:.0f} s]')
    print(f'[peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB]')
