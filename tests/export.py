"""Write the modules from the notebooks and clean these: `make export`.

nbdev does both. It also breaks the line of `__all__`, but does not count the ten characters before the bracket, so that
lines of up to 130 come out; here they get our 120.
"""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import fill

root = Path(__file__).parents[1]


def wrapped(source: str) -> str:
    "A module with no line of `__all__` above 120 characters."

    def again(found):
        names = ' '.join(found[0].split())
        return fill(names, 120, subsequent_indent=' ' * 11, break_long_words=False, break_on_hyphens=False)

    return re.sub(r'^__all__ = \[[^]]*\]', again, source, flags=re.M)


def export(folder: Path = root):
    "Export and clean a checkout."
    for command in ('nbdev-export', 'nbdev-clean'):
        subprocess.run([Path(sys.executable).with_name(command)], cwd=folder, check=True)
    for path in sorted((folder / 'colorlab').glob('*.py')):
        if (text := wrapped(path.read_text())) != path.read_text():
            path.write_text(text)


if __name__ == '__main__':
    export()
