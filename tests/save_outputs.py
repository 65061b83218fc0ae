"""Run lessons in a fresh kernel and keep their outputs: `make lessons`, or `make lessons LESSON=nbs/01_lab.ipynb`.

Final notebooks run in earnest, in the folder from which this is called. What their first cell chooses can be given:
python tests/save_outputs.py nbs/train/93_r1.ipynb DATA=photos BUDGET="30 min"
"""

import ast
import base64
import copy
import io
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbdev.clean import nbdev_clean
from PIL import Image, ImageChops

root = Path(__file__).resolve().parents[1]
SKIPPED = '#| eval: false'
MAX_BYTES = 390_000  # of a notebook; tests/structure.py allows 400,000


def palette_png(img):
    "A PNG of 256 colors as base64, a third as large; None if some color would change so that one can see it."
    png, few = io.BytesIO(), img.quantize(256)
    if max(high for _, high in ImageChops.difference(img, few.convert('RGB')).getextrema()) > 32:
        return None
    few.save(png, 'PNG', optimize=True)
    return base64.b64encode(png.getvalue()).decode()


def slim(output, quality):
    "The same output, a drawing as PNG with few colors, a figure of photographs as JPEG, in a fraction of the space."
    output = copy.deepcopy(output)
    data = output.get('data', {})
    if 'image/png' not in data:
        return output
    jpeg, img = io.BytesIO(), Image.open(io.BytesIO(base64.b64decode(data['image/png']))).convert('RGB')
    few = palette_png(img)
    if few and len(few) < 30_000:
        data['image/png'] = few
    elif len(data['image/png']) >= 30_000:
        img.thumbnail((1200, 4000))
        img.save(jpeg, 'JPEG', quality=quality, subsampling=0)
        data['image/jpeg'] = base64.b64encode(jpeg.getvalue()).decode()
        del data['image/png']
    return output


def wanted(output):
    "Neither warnings nor progress bars."
    return output.get('name') != 'stderr' and 'application/vnd.jupyter.widget-view+json' not in output.get('data', {})


def choose(source, choices):
    "The same cell, in which NAME = 'value' has the value that was chosen."
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and (name := statement.targets[0].id) in choices:
            lines[statement.lineno - 1] = f'{name} = {choices[name]!r}'
    return '\n'.join(lines)


def hide_folders(text, folder):
    "Names of files relative to the folder of the run, and temporary folders without the name that changes."
    return re.sub(r'/tmp/tmp\w+/', '/tmp/', text.replace(f'{folder}/', ''))


def hide_output_folders(output, folder):
    "The same for what a cell printed or showed."
    if 'text' in output:
        output['text'] = hide_folders(output['text'], folder)
    for kind, text in output.get('data', {}).items():
        if kind.startswith('text/'):
            output['data'][kind] = hide_folders(text, folder)
    return output


def execute(nb, folder):
    "Run all cells in a fresh kernel, in a folder."
    NotebookClient(nb, timeout=None, kernel_name='python3', resources={'metadata': {'path': str(folder)}}).execute()


def keep_outputs(cells, done_cells, choices, quality):
    "Take over what the cells of a run have shown."
    for kept, done in zip(cells, done_cells):
        if kept.cell_type == 'code':
            kept.outputs = [hide_output_folders(slim(o, quality), Path.cwd()) for o in done.outputs if wanted(o)]
            kept.execution_count = done.execution_count
    if choices:
        text = 'The outputs saved here come from a run with ' + ', '.join(f'{k} = {v!r}' for k, v in choices.items())
        first = next(c for c in cells if c.cell_type == 'code')
        first.outputs = [nbformat.v4.new_output('stream', name='stdout', text=text)]


def run(path, choices):
    "Run one notebook, a lesson where it lies and small as in the tests; cells that nbdev would skip keep no output."
    whole = nbformat.read(path, as_version=4)
    cells = [c for c in whole.cells if SKIPPED not in c.source]
    nb = copy.copy(whole)
    nb.cells = copy.deepcopy(cells)
    if path.parent.name == 'train':
        first = next(c for c in nb.cells if c.cell_type == 'code')
        first.source = choose(first.source, choices)
        execute(nb, Path.cwd())
    else:
        os.environ.update(IN_TEST='1', OMP_NUM_THREADS='1')  # other threads, other figures
        execute(nb, path.parent)
    whole.metadata.pop('widgets', None)  # the progress bars again
    for quality in (75, 65, 55, 45):  # of the pictures, until the file is small enough
        keep_outputs(cells, nb.cells, choices, quality)
        nbformat.write(whole, path)
        nbdev_clean(str(path))
        if path.stat().st_size < MAX_BYTES:
            break
    print(f'{path.relative_to(root)}: {path.stat().st_size // 1024} kB')


if __name__ == '__main__':
    choices = dict(argument.split('=', 1) for argument in sys.argv[1:] if '=' in argument)
    named = [Path(argument).resolve() for argument in sys.argv[1:] if '=' not in argument]
    rooms = '.', 'foundations', 'extras', 'interfaces'
    lessons = [p for room in rooms for p in sorted((root / 'nbs' / room).glob('*.ipynb'))]
    for path in named or lessons:  # those of nbs/train take long: name them
        run(path, choices)
