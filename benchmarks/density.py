"""How dense the code is, beside well-known packages: `python benchmarks/density.py [PACKAGE FOLDER ...]`.

Counted are lines of code: no blank lines, no comments alone on a line, no docstrings, no generated `_modidx.py`.
"""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


def docstring_lines(tree) -> set:
    "The line numbers of all docstrings in a syntax tree."
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)) and ast.get_docstring(node) is not None:
            found.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return found


def code_lines(source: str) -> list:
    "The lines of code in a file."
    docs = docstring_lines(ast.parse(source))
    lines = enumerate(source.splitlines(), 1)
    return [line for n, line in lines if line.strip() and not line.strip().startswith('#') and n not in docs]


def functions(tree) -> list:
    "Every function and method of a file."
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def without_docstring(tree) -> list:
    "Names of public functions, classes and methods of a file that say nothing about themselves."
    found = []
    for node in tree.body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith('_'):
            continue
        if not ast.get_docstring(node):
            found.append(node.name)
        methods = node.body if isinstance(node, ast.ClassDef) else []
        found += [
            f'{node.name}.{m.name}'
            for m in methods
            if isinstance(m, FUNCTIONS) and not m.name.startswith('_') and not ast.get_docstring(m)
        ]
    return found


def measure_package(folder) -> dict:
    "Density of all Python files in a folder."
    files = [f for f in sorted(Path(folder).glob('*.py')) if f.name != '_modidx.py']
    sources = [f.read_text(encoding='utf-8') for f in files]
    lines = [line for source in sources for line in code_lines(source)]
    trees = [ast.parse(source) for source in sources]
    lengths = [node.end_lineno - node.lineno + 1 for tree in trees for node in functions(tree)]
    return {
        'lines of code': len(lines),
        '> 120': f'{sum(len(line) > 120 for line in lines) / len(lines):.1%}',
        'mean length': round(mean(map(len, lines)), 1),
        'function, median / longest': f'{median(lengths):.0f} / {max(lengths)}',
        'without docstring': sum(len(without_docstring(tree)) for tree in trees),
        'longest file': max(len(source.splitlines()) for source in sources),
    }


def main(folders):
    known = {
        name: Path(find_spec(name).origin).parent for name in ('colorlab', 'fastcore', 'fastai.vision', 'timm.layers')
    }
    rows = {name: measure_package(folder) for name, folder in (known | {f: f for f in folders}).items()}
    heads = list(next(iter(rows.values())))
    print(f'{"":16}' + ''.join(f'{head:>28}' for head in heads))
    for name, row in rows.items():
        print(f'{name:16}' + ''.join(f'{row[head]!s:>28}' for head in heads))


if __name__ == '__main__':
    main(sys.argv[1:])
