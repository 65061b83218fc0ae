"""The exercises have solutions, and the labs made from them can be taught: with nbgrader and without."""

import ast
import re
from importlib.util import find_spec

import nbformat
import pytest
from conftest import root
from labs import BEGIN, CHECK, END, LABS, SKIPPED, Lab, is_solution, lab_notebook, points, solutions, without_solution

course = {p.stem: p for p in sorted((root / 'nbs').glob('[0-9]*.ipynb'))}
solved = {p.stem: p for p in sorted(solutions.glob('*.ipynb'))}


def read(path):
    return nbformat.read(path, as_version=4)


def test_every_lesson_with_exercises_has_solutions():
    text = {stem: '\n'.join(c.source for c in read(path).cells) for stem, path in course.items()}
    asks = {stem for stem, text in text.items() if re.search(r'^(## |\*\*)Exercises', text, re.M)}
    assert asks <= set(solved), f'no solutions: {asks - set(solved)}'
    assert set(solved) <= set(course), f'solutions of no lesson: {set(solved) - set(course)}'


@pytest.mark.parametrize('stem', solved)
def test_marks_are_paired_and_checks_are_real(stem):
    cells = read(solved[stem]).cells
    assert any(map(is_solution, cells)) and any(map(points, cells))
    for i, cell in enumerate(cells):
        marks = re.findall(rf'^ *({BEGIN}|{END})$', cell.source, re.M)
        assert marks == [BEGIN, END] * (len(marks) // 2), f'{stem}: {cell.source[:80]}'
        if is_solution(cell) and cell.cell_type == 'code' and SKIPPED not in cell.source:
            following = next(c for c in cells[i + 1 :] if c.cell_type == 'code')
            assert CHECK.match(following.source), f'{stem}: nothing checks {cell.source[:80]}'
        if CHECK.match(cell.source):
            assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


def run(cells):
    "Run code cells as a student would, one after the other; the first line of each that fails, and its error."
    world, failed = {'__name__': '__main__'}, {}
    for cell in cells:
        try:
            exec(cell.source, world)
        except (NotImplementedError, AssertionError) as e:
            failed[cell.source.splitlines()[0]] = failed.get(cell.source.splitlines()[0], []) + [type(e)]
    return failed


@pytest.mark.parametrize('name', LABS)
def test_students_get_blanks_and_their_checks_fail(name, monkeypatch, capsys):
    monkeypatch.setenv('MPLBACKEND', 'agg')
    cells = lab_notebook(name, LABS[name]).cells
    assert len({c.id for c in cells}) == len(cells)
    install, *rest = [c for c in cells if c.cell_type == 'code']
    for cell in rest:
        cell.source = without_solution(cell.source)
    assert not any(BEGIN in c.source or END in c.source for c in rest)
    assert 'pip install' in install.source and not any(SKIPPED in c.source for c in rest)
    failed = run(rest)
    checks = [c for c in rest if CHECK.match(c.source)]
    assert all(CHECK.match(first) for first in failed), failed  # no cell fails that is not a check
    assert sum(map(len, failed.values())) == len(checks)


def test_a_wrong_mark_would_be_seen():
    source = f'def f(x):\n    {BEGIN}\n    return x\n    {END}\n\n\nf(1)'
    assert without_solution(source) == 'def f(x):\n    raise NotImplementedError  # your code here\n\n\nf(1)'
    cell = nbformat.v4.new_code_cell('# check: 3 points\nassert True')
    assert points(cell) == 3 and points(nbformat.v4.new_code_cell('x = 1')) == 0


@pytest.mark.filterwarnings('ignore')  # of nbgrader's own
@pytest.mark.skipif(not find_spec('nbgrader'), reason='nbgrader is not installed: pip install colorlab[teaching]')
def test_nbgrader_grades_a_right_and_a_wrong_submission(tmp_path, monkeypatch):
    from labs import nbgrader_api, write_labs
    from nbgrader.api import Gradebook

    monkeypatch.setenv('JUPYTER_PLATFORM_DIRS', '1')
    write_labs(tmp_path, {'lab1': Lab('Color', dict(lab=[1, 2]))})
    teacher, student = (read(tmp_path / kind / 'lab1' / 'lab1.ipynb') for kind in ('source', 'release'))
    assert not any(BEGIN in c.source or END in c.source for c in student.cells)
    solution = {c.id: c.source for c in teacher.cells}
    blanks = [c for c in student.cells if c.metadata.get('nbgrader', {}).get('solution')]
    assert [c.cell_type for c in blanks] == ['code', 'code', 'markdown'] and 'NotImplementedError' in blanks[0].source
    assert '*Your answer here.*' in blanks[2].source
    wrong = {blanks[1].id: 'def mean_delta_e(one, other):\n    return 0.0'}
    for who, answered in (('right', 3), ('wrong', 1)):  # the other solves the first exercise alone
        for cell in blanks:
            cell.source = wrong.get(cell.id, '')
        for cell in blanks[:answered]:
            cell.source = solution[cell.id]
        folder = tmp_path / 'submitted' / who / 'lab1'
        folder.mkdir(parents=True)
        nbformat.write(student, folder / 'lab1.ipynb')
        done = nbgrader_api(tmp_path).autograde('lab1', who, force=True, create=True)
        assert done['success'], done
    with Gradebook(f'sqlite:///{tmp_path / "gradebook.db"}', 'colorlab') as book:
        found = {who: book.find_submission('lab1', who) for who in ('right', 'wrong')}
        assert {who: s.score for who, s in found.items()} == dict(right=4, wrong=2)
        assert found['right'].max_score == 5 and found['right'].needs_manual_grade  # the question in words
