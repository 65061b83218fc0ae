#| eval: false
# Install colorlab, unless it is here: from a wheel, zip or folder of it, uploaded or attached; else from its address.
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp

if not getattr(find_spec('colorlab'), 'origin', None):
    places = [Path('.'), Path('/content')]
    places += [place for deep in ('*/', '*/*/', '*/*/*/') for place in Path('/kaggle/input').glob(deep)]
    kinds = 'colorlab*.whl', 'colorlab*.zip', 'colorlab*/setup.py'
    found = [file.resolve() for kind in kinds for place in places for file in sorted(place.glob(kind))]
    source = 'colorlab[eval] @ git+https://github.com/colorlab-course/colorlab@v0.1.0'
    versions = ['-c', 'https://raw.githubusercontent.com/colorlab-course/colorlab/v0.1.0/nbs/constraints.txt']
    if found:
        file = found[0]
        if file.name == 'setup.py':  # Kaggle unpacks a zip, into a folder that cannot be written
            file = copytree(file.parent, Path(mkdtemp()) / 'colorlab')
        source, versions = f'{file}[eval]', []
    command = [sys.executable, '-m', 'pip', 'install', '-q', *versions, source]
    pip = subprocess.run(command, capture_output=True, text=True)
    importlib.invalidate_caches()
    if not getattr(find_spec('colorlab'), 'origin', None):
        why = pip.stderr.strip().splitlines()[-1:] or ['no reason given']
        print(f'colorlab cannot be installed from {source} ({why[0]}).')
        print('Upload its wheel, or the zip of its repository, beside this notebook (on Kaggle: Add Input, Upload,')
        print('and Settings, Internet on), and run this cell again.')
        raise ImportError('colorlab is not installed')
