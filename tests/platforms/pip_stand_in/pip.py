"""Stands in for pip: notes what it is asked for, and installs an empty package, unless the machine is offline."""

import os
import sys
from pathlib import Path

if __name__ == '__main__':
    source = sys.argv[-1]
    Path('/asked').write_text(' '.join(sys.argv[sys.argv.index('-q') + 1 :]))
    if 'OFFLINE' in os.environ and 'https:' in source:
        sys.exit('WARNING: Retrying\nERROR: Could not resolve host: github.com')
    if not source.startswith('colorlab'):
        assert Path(source.removesuffix('[eval]')).exists()
    Path('/site/colorlab').mkdir(parents=True)
    Path('/site/colorlab/__init__.py').touch()
