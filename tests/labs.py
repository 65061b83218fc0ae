"""Student notebooks of the four labs, made from nbs/solutions: `make lab`.

labs/source holds the teacher's notebooks, labs/release those of the students: the same with blanks. Both are the
folders of an nbgrader course, so that nbgrader can collect and grade what comes back; a student needs no nbgrader.

A solution stands between `### BEGIN SOLUTION` and `### END SOLUTION`; a cell that begins with `# check: 2 points`
grades the one above. No exercise needs the answer to an earlier one.
"""

import copy
import logging
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

root = Path(__file__).parents[1]
solutions = root / 'nbs' / 'solutions'
BEGIN, END = '### BEGIN SOLUTION', '### END SOLUTION'
SKIPPED = '#| eval: false'
CHECK = re.compile(r'# check: (\d+) points?')
INSTALL = """
import importlib.util

if not importlib.util.find_spec('colorlab'):
    !{pip}
"""


class Lab(NamedTuple):
    "A lab of 90 minutes."

    title: str
    exercises: dict  # lesson -> the numbers of its exercises


LABS = {
    'lab1': Lab('Color and baselines', dict(lab=[1, 2], data=[2], metrics=[1, 3])),
    'lab2': Lab('The baseline CNN, and why it is brown', dict(models=[2], cnn=[1, 3, 4])),
    'lab3': Lab('The U-Net and Koala', dict(koala=[1, 2], unet=[1, 2, 3])),
    'lab4': Lab('The GAN, and measuring', dict(gan=[1, 2, 3], evaluation=[1, 2])),
}


def solution_of(lesson: str) -> Path:
    "The notebook with the solutions of a lesson."
    (path,) = solutions.glob(f'[0-9]*_{lesson}.ipynb')
    return path


def exercises(nb) -> dict:
    "The cells of a notebook by the number of their exercise; under 0 the setup, from its first heading on."
    parts, number = {0: []}, 0
    for cell in nb.cells:
        if heading := re.match(r'## Exercises? (\d+)', cell.source):
            number = int(heading[1])
        parts.setdefault(number, []).append(cell)
    return parts


def is_solution(cell) -> bool:
    "Whether a student has to fill something in."
    return BEGIN in cell.source


def points(cell) -> int:
    "How many points a cell gives: a check what it says, a question to be answered in words 1, any other cell 0."
    if found := CHECK.match(cell.source):
        return int(found[1])
    return int(cell.cell_type == 'markdown' and is_solution(cell))


def with_marks(cell, name: str):
    "A copy of a cell with a name of its own, and with nbgrader's metadata where it is solved or checked."
    cell = copy.deepcopy(cell)
    cell.id = name
    if cell.cell_type == 'code':
        cell.update(outputs=[], execution_count=None)
    worth, blank = points(cell), is_solution(cell)
    if worth or blank:
        mark = dict(grade=bool(worth), solution=blank, locked=not blank, task=False, schema_version=3)
        mark |= dict(grade_id=name, cell_type=cell.cell_type) | (dict(points=worth) if worth else {})
        cell.metadata['nbgrader'] = mark
    return cell


def lab_notebook(name: str, lab: Lab):
    "The teacher's notebook of a lab."
    cells, installs = [], []
    for lesson, numbers in lab.exercises.items():
        parts = exercises(nbformat.read(solution_of(lesson), as_version=4))
        setup = [c for c in parts[0] if c.cell_type == 'code']
        installs.append(next(c.source for c in setup if SKIPPED in c.source).split('!')[1])
        chosen = [c for c in setup if SKIPPED not in c.source] + [c for n in numbers for c in parts[n]]
        cells.append(new_markdown_cell(f'# Lesson `{lesson}`', id=f'{name}-{lesson}'))
        cells += [with_marks(cell, f'{name}-{lesson}-{i:02}') for i, cell in enumerate(chosen)]
    total = sum(map(points, cells))
    text = (
        f'# {name.capitalize()}: {lab.title}\n\nFill in what is blank, and run the check below it: no error means that '
    )
    text += f'it is right. No exercise needs an earlier one. {total} points.'
    first = [new_markdown_cell(text, id=f'{name}-title')]
    install = INSTALL.strip().format(pip=max(installs, key=len))  # with the extras that one of the lessons needs
    first.append(new_code_cell(install, id=f'{name}-install'))
    kernel = dict(display_name='Python 3', language='python', name='python3')
    return new_notebook(cells=first + cells, metadata=dict(kernelspec=kernel))


def without_solution(source: str) -> str:
    "A cell as a student without nbgrader would get it."
    blank = r'\1raise NotImplementedError  # your code here\n'
    return re.sub(rf'^( *){BEGIN}\n.*?^ *{END}(?:\n|$)', blank, source, flags=re.M | re.S)


def write_sources(course: Path, labs=LABS):
    "The teacher's notebooks, where nbgrader looks for them."
    for name in labs:
        folder = course / 'source' / name
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(lab_notebook(name, labs[name]), folder / f'{name}.ipynb')


def nbgrader_api(course: Path):
    "nbgrader, at work in the folder of a course."
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    os.environ['PATH'] = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'  # it runs the command `alembic`
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.course_id = 'colorlab'
    config.ClearSolutions.code_stub = dict(python='raise NotImplementedError  # your code here')
    config.ClearSolutions.text_stub = '*Your answer here.*'
    config.ExecutePreprocessor.timeout = 120
    return NbGraderAPI(config=config)


def write_labs(course: Path, labs=LABS):
    "The teacher's and the students' notebooks; `RuntimeError` if nbgrader cannot make them."
    write_sources(course, labs)
    api = nbgrader_api(course)
    for name in labs:
        done = api.generate_assignment(name, force=True, create=True)
        if not done['success']:
            raise RuntimeError(done.get('error') or done.get('log'))


if __name__ == '__main__':
    logging.getLogger('traitlets').setLevel(logging.ERROR)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else 'labs')
    write_labs(folder.resolve())
    for file in sorted(folder.glob('release/*/*.ipynb')):
        nb = nbformat.read(file, as_version=4)
        worth = sum(c.metadata.get('nbgrader', {}).get('points', 0) for c in nb.cells)
        print(f'{file}: {worth} points')
