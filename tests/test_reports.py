"The page about the five reports: every row once, and everything that it names is there."

import ast
import json
import re
from pathlib import Path

import pytest

root = Path(__file__).parents[1]
page = root / 'nbs' / 'reports.md'
text = page.read_text(encoding='utf-8')
COUNTS = dict(R0=20, R1=14, R2=18, R3=13, R4=18)  # rows of each report
ROWS = [f'{report}.{i}' for report, n in COUNTS.items() for i in range(1, n + 1)]
table = [[part.strip() for part in line.strip('|').split('|')] for line in text.splitlines() if line[:3] == '| R']
TEST = re.compile(r'`(test_\w+\.py)::(\w+)`')
CELL = re.compile(r"(asserts in|look at) notebook (\d{2,3}), cell '(.+?)'(?=; |$)")
CHECK = re.compile(r'\bassert\b|\btest_(eq|close)\(|ExceptionExpected')
rooms = ('.', 'foundations', 'extras', 'interfaces', 'train')
notebooks = {path.stem.split('_')[0]: path for room in rooms for path in (root / 'nbs' / room).glob('[0-9]*.ipynb')}


def sections(path):
    "The code under each heading of a notebook."
    heading, found = '', {}
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            for heading in re.findall(r'^## (.*)$', source, re.M):
                found[heading] = ''
        elif heading:
            found[heading] += source + '\n'
    return found


def functions(path):
    "Names of the functions at the top level of a file."
    return {node.name for node in ast.parse(path.read_text(encoding='utf-8')).body if isinstance(node, ast.FunctionDef)}


def presets():
    "Names of the presets, read and not imported."
    tree = ast.parse((root / 'colorlab' / 'presets.py').read_text(encoding='utf-8'))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    entries = [target for target in targets if isinstance(target, ast.Subscript) and target.value.id == 'PRESETS']
    return {entry.slice.value for entry in entries}


def test_every_row_stands_there_once():
    assert [row[0] for row in table] == ROWS
    assert all(len(row) == 4 and all(row) for row in table)


def test_every_row_says_where_and_what_holds_it():
    for row, _, where, held in table:
        assert 'ipynb)' in where or 'preset' in where, row
        assert TEST.search(held) or CELL.search(held), row


def test_every_link_leads_somewhere():
    links = re.findall(r'\]\(([^)]+)\)', text)
    assert len(links) > 100
    for link in links:
        assert (page.parent / link).is_file(), link


def test_every_test_is_there():
    named = {match.groups() for match in TEST.finditer(text)}
    assert len(named) == len(set(re.findall(r'`[^`\s]*::(?!test_…)[^`]*`', text))) > 30
    for file in {file for file, _ in named}:
        missing = {name for where, name in named if where == file} - functions(root / 'tests' / file)
        assert not missing, (file, missing)


def test_every_cell_is_there_and_asserts_where_the_page_says_so():
    named = {match.groups() for row in table for match in CELL.finditer(row[3])}
    assert len(named) > 30 and sum(row[3].count(', cell ') for row in table) == sum(
        len(CELL.findall(row[3])) for row in table
    )
    for number in {number for _, number, _ in named}:
        found = sections(notebooks[number])
        for how, where, heading in named:
            if where == number:
                assert heading in found, (number, heading)
                assert how == 'look at' or CHECK.search(found[heading]), (number, heading)


def test_every_preset_is_there_and_none_is_left_out():
    named = {name for row in table for name in re.findall(r'`([^`]+)`', row[2])}
    assert named == presets()


def test_the_page_counts_what_does_not_hold():
    partly = sum(row[3].startswith('**In part:**') for row in table)
    no = [row[0] for row in table if row[3].startswith('**Does not hold')]
    told = f'of {len(ROWS)} rows {len(ROWS) - partly - len(no)} hold, {partly} hold in part, and one ({no[0]}) does not'
    assert len(no) == 1 and told in text
    assert sum('**' in row[3] for row in table) == partly + len(no)


@pytest.mark.parametrize('name', ['README.md', 'nbs/00_start.ipynb'])
def test_the_page_is_found(name):
    assert 'reports.md)' in (root / name).read_text(encoding='utf-8')
