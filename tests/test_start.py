"""What starts quickly must not load what is slow."""

import subprocess
import sys

import pytest

HEAVY = 'torch', 'fastai', 'timm', 'pandas', 'matplotlib', 'cv2', 'skimage', 'onnx', 'onnxruntime', 'huggingface_hub'


def loaded(code):
    "Which heavy modules a piece of code loads."
    code += f'; import sys; print(*[m for m in {HEAVY} if m in sys.modules])'
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.splitlines()[
        -1
    ]


def test_import_loads_nothing_heavy():
    assert loaded('import colorlab; colorlab.__version__') == ''


def test_color_spaces_need_no_torch():
    assert loaded('import colorlab.lab, colorlab.colorize; from colorlab import Colorizer') == ''


def test_an_onnx_file_colors_without_torch(light, photos, tmp_path):
    run = f"""
import sys
from colorlab.cli import main
sys.argv = ["colorlab", "colorize", {str(photos)!r}, "--out", {str(tmp_path / 'out')!r}, "--model", {str(light)!r}]
try: main()
except SystemExit as e: assert not e.code, e
"""
    assert loaded(run.strip() + '\n0') == 'onnxruntime'
    assert len(list((tmp_path / 'out').rglob('*.jpg'))) == 24


@pytest.mark.parametrize(
    'args', (['--help'], ['train', '--help'], ['colorize', '--help'], ['study', '--help'], ['evaluate', '--help'])
)
def test_help_loads_nothing_heavy(args):
    run = f"""
import sys
from colorlab.cli import app
sys.argv = ["colorlab", *{args}]
try: app()
except SystemExit: pass"""
    assert loaded(run.strip() + '\n0') == ''
