"""Run lessons in a fresh kernel and keep their outputs: `make lessons`, or `make lessons LESSON=nbs/00_lab.ipynb`."""

import base64
import io
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbdev.clean import nbdev_clean
from PIL import Image

root = Path(__file__).parents[1]
SKIPPED = '#| eval: false'


def slim(output):
    "Keep a drawing as PNG, but a figure of photographs as JPEG, in a fraction of the space."
    data = output.get('data', {})
    if len(data.get('image/png', '')) < 30_000:
        return output
    jpeg, img = io.BytesIO(), Image.open(io.BytesIO(base64.b64decode(data['image/png']))).convert('RGB')
    img.thumbnail((1200, 4000))
    img.save(jpeg, 'JPEG', quality=75, subsampling=0)
    data['image/jpeg'] = base64.b64encode(jpeg.getvalue()).decode()
    del data['image/png']
    return output


def wanted(output):
    "Neither warnings nor progress bars."
    return output.get('name') != 'stderr' and 'application/vnd.jupyter.widget-view+json' not in output.get('data', {})


def run(path):
    "Run one notebook where it lies, small as in the tests; cells that nbdev would skip keep no output."
    nb = nbformat.read(path, as_version=4)
    whole, nb.cells = nb.cells, [c for c in nb.cells if SKIPPED not in c.source]
    os.environ.update(IN_TEST='1')
    if path.parent.name == 'train':
        os.environ.update(COLORLAB_SMALL_PHOTOS='200', COLORLAB_SMALL_EPOCHS='25')  # else there were nothing to see
    NotebookClient(
        nb, timeout=3600, kernel_name='python3', resources={'metadata': {'path': str(path.parent)}}
    ).execute()
    for cell in nb.cells:
        if cell.cell_type == 'code':
            cell.outputs = [slim(o) for o in cell.outputs if wanted(o)]
    nb.cells = whole
    nb.metadata.pop('widgets', None)  # the progress bars again
    nbformat.write(nb, path)
    nbdev_clean(str(path))
    print(f'{path.relative_to(root)}: {path.stat().st_size // 1024} kB')


if __name__ == '__main__':
    named = [Path(p).resolve() for p in sys.argv[1:]]
    lessons = [*sorted((root / 'nbs').glob('*.ipynb')), *sorted((root / 'nbs' / 'extras').glob('*.ipynb'))]
    for path in named or lessons:  # those of nbs/train take long: name them
        run(path)
