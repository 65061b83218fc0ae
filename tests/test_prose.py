"""The numbers in the prose of a lesson are those of its outputs.

A text that was written for an earlier run is found: each number with a decimal point, and each percentage, must be in
the code or an output of the same notebook, rounded or not. A cell that takes its numbers from elsewhere says so with a
link, or by naming its benchmark.
"""

import json
import re
from pathlib import Path

import pytest

root = Path(__file__).parents[1]
rooms = '.', 'foundations', 'extras', 'interfaces'
notebooks = [p for room in rooms for p in sorted((root / 'nbs' / room).glob('[0-9]*.ipynb'))]
NUMBER = r'(?:\d+(?:\.\d+)?|\.\d+)(?:e-?\d+)?'
IN_PROSE = re.compile(r'(?<![\w.,])\d+\.\d+(?![\w.]*\w)|(?<![\w.])\d+(?=\s?%)')
NO_PROSE = re.compile(r'\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|(## |\*\*)Exercises.*', re.S)  # formulas, code; see nbs/solutions
SOURCE = re.compile(r'\]\(|benchmarks/')


def known_numbers(cells) -> list[float]:
    "All numbers in code and outputs."
    texts = []
    for cell in cells:
        if cell['cell_type'] == 'code':
            texts.append(''.join(cell['source']))
            for output in cell['outputs']:
                data = output.get('data', {})
                texts += [''.join(output.get('text', '')), ''.join(data.get('text/plain', ''))]
                texts += [''.join(data.get('text/html', '')), ''.join(data.get('text/markdown', ''))]
    return [float(number) for text in texts for number in re.findall(rf'(?<!\w){NUMBER}', text)]


def is_known(number: str, known: list[float]) -> bool:
    "Whether a number is there, perhaps rounded; a percentage also as a share, or as what is missing to it."
    decimals = len(number.partition('.')[2])
    half = 0.5 * 10**-decimals + 1e-9
    values = known if decimals else [*known, *(100 * share for share in known), *(100 - 100 * share for share in known)]
    return any(abs(value - float(number)) <= half for value in values)


@pytest.mark.parametrize('path', notebooks, ids=[p.stem for p in notebooks])
def test_numbers_in_the_prose_are_in_the_outputs(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    known, missing = known_numbers(cells), []
    for cell in cells:
        text = NO_PROSE.sub('', ''.join(cell['source']))
        if cell['cell_type'] == 'markdown' and not SOURCE.search(''.join(cell['source'])):
            missing += [f'{n} in "{text.strip()[:60]} …"' for n in IN_PROSE.findall(text) if not is_known(n, known)]
    assert not missing, f'{path.name}: ' + '; '.join(missing)


def test_a_stale_number_is_found():
    known = [20.583, 0.31]
    assert is_known('20.58', known) and is_known('20.6', known) and is_known('31', known) and is_known('69', known)
    assert not is_known('20.47', known) and not is_known('30', known)
