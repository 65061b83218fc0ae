"""The modules as sphinx-autoapi reads them: methods in their classes, and the comments beside parameters as tables."""

import ast
import importlib
import inspect
import re
import tokenize
from configparser import ConfigParser
from pathlib import Path

from fastcore.docments import docments

root = Path(__file__).parents[1]
config = ConfigParser()
config.read(root / 'settings.ini')
cfg = config['DEFAULT']
package = root / cfg['lib_path']


def public_names() -> dict:
    "Every public name of the package: the whole name."
    found = {}
    for path in package.glob('[a-z]*.py'):
        for names in re.findall(r'^__all__ = (\[.*?\])', path.read_text(encoding='utf-8'), re.M | re.S):
            found |= {name: f'{package.name}.{path.stem}.{name}' for name in ast.literal_eval(names)}
    return found


NAMES = public_names()


def whole_name(
    code: str,  # as it stands between backticks: `train`, `train(…)`, `colorlab.training.train`
) -> str | None:  # of what is public, else None
    "What a piece of code names."
    name = re.sub(r'\(.*\)$', '', code, flags=re.S)
    return NAMES.get(name.split('.')[-1] if name.startswith(f'{package.name}.') else name)


def rst(text: str) -> str:
    "A docstring as reStructuredText: `name` is code, and a link where it is public; nothing else has a meaning."

    def one(match):
        if not (code := match['code']):
            return '\\' + match[0]
        marked = f':py:obj:`{code} <{whole_name(code)}>`' if whole_name(code) else f'``{code}``'
        return '\\ ' * (match['before'] is not None) + marked + '\\ ' * (match['after'] is not None)

    return re.sub(r'(?P<before>(?<=\w))?`(?P<code>[^`]+)`(?P<after>(?=\w))?|[*|\\]|_(?=\W|$)', one, text)


def comments_of(source: str) -> dict:
    "Line: the comment in it."
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    return {t.start[0]: t.string.lstrip('# ').strip() for t in tokens if t.type == tokenize.COMMENT}


def arguments(function: ast.FunctionDef) -> list:
    "The parameters of a function, in order."
    a = function.args
    every = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
    return [x for x in every if x is not None and x.arg not in ('self', 'cls')]


def fields(node: ast.ClassDef) -> list:
    "The fields that a data class or a named tuple declares."
    return [n for n in node.body if isinstance(n, ast.AnnAssign)]


def init(node: ast.ClassDef):
    "A class's own `__init__`, or None."
    return next((n for n in node.body if getattr(n, 'name', '') == '__init__'), None)


def parameters(
    node: ast.AST,  # of a function or a class
    value,  # the function or the class itself
    comments: dict,  # of the module
) -> dict:  # name: text
    "What is said beside parameters, and of what comes back: by fastcore's docments, and where those don't look."
    said = dict(docments(value, args_kwargs=True))
    function = init(node) if isinstance(node, ast.ClassDef) else node
    declared = arguments(function) if function else fields(node)
    lines = {getattr(a, 'arg', None) or a.target.id: a.lineno for a in declared}
    texts = {name: said.get(name) or comments.get(line) for name, line in lines.items()}
    texts |= {name: text for name, text in said.items() if name not in (*texts, 'self', 'return')}  # @delegates
    if isinstance(node, ast.FunctionDef):
        texts['returns'] = said.get('return') or comments.get(node.body[0].lineno - 1)
    return {name: text for name, text in texts.items() if text}


def table(texts: dict) -> str:
    "Parameters as a table."
    if not texts:
        return ''
    rows = ''.join(
        f'   * - {"*returns*" if name == "returns" else f"``{name}``"}\n     - {rst(" ".join(text.split()))}\n'
        for name, text in texts.items()
    )
    return f'\n\n.. list-table::\n   :class: parameters\n\n{rows}'


def set_docstring(node: ast.AST, text: str):
    "Give a module, a class or a function this docstring in place of its own."
    own = ast.get_docstring(node) is not None
    node.body = [ast.Expr(ast.Constant(text)), *node.body[own:]]


def document(node: ast.AST, value, comments: dict):
    "Give a function, or a class and its methods, docstrings that hold a table."
    text = rst(ast.get_docstring(node) or '')
    set_docstring(node, text + table(parameters(node, value, comments)))
    if isinstance(node, ast.FunctionDef):
        node.body = node.body[:1]
    if isinstance(node, ast.ClassDef):
        if fields(node) and not init(node):  # what a data class makes of its fields
            listed = ', '.join(ast.unparse(f) for f in fields(node))
            listed = re.sub(r'field\(default_factory=([\w.]+)\)', r'\1()', listed)
            node.body += ast.parse(f'def __init__(self, {listed}): ...').body
        node.body = [n for n in node.body if isinstance(n, ast.Expr | ast.FunctionDef)]
        for method in node.body[1:]:
            if method.name == '__init__':
                method.body = [ast.Pass()]
            elif not method.name.startswith('_'):
                document(method, unwrapped(inspect.getattr_static(value, method.name)), comments)


def unwrapped(value):
    "The function in a property or a class method."
    return getattr(value, 'fget', None) or getattr(value, 'func', None) or getattr(value, '__func__', value)


def patched(node: ast.AST):
    "The decorator `@patch` of a function, or None."
    named = {getattr(getattr(d, 'func', d), 'id', ''): d for d in getattr(node, 'decorator_list', [])}
    return named.get('patch')


def move_patches(tree: ast.Module):
    "Put functions with `@patch` into their classes."
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    for node in [n for n in tree.body if patched(n)]:
        mark, first = patched(node), node.args.args[0]
        owner = ast.unparse(first.annotation)
        if owner not in classes:
            continue
        kinds = {'cls_method': 'classmethod', 'as_prop': 'property'}
        how = [kinds[k.arg] for k in getattr(mark, 'keywords', [])]
        node.decorator_list = [d for d in node.decorator_list if d is not mark] + [ast.Name(k) for k in how]
        first.annotation = None
        tree.body.remove(node)
        classes[owner].body.append(node)


def values(node: ast.Assign, comments: dict) -> list:
    "A value with a name each, in place of `A, B = 1, 2`; the comment beside them as docstring."
    pairs = [(node.targets[0], node.value)]
    if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(node.targets[0].elts, node.value.elts)
    said = [ast.Expr(ast.Constant(rst(comments[node.end_lineno])))] if node.end_lineno in comments else []
    return [n for name, value in pairs if ast.unparse(name) in NAMES for n in (ast.Assign([name], value), *said)]


def readable(
    path: Path,  # of a module
    made_in: str,  # the page of the notebook that it is exported from
) -> str:
    "A module as sphinx-autoapi shall see it. Nobody runs this text."
    source = path.read_text(encoding='utf-8')
    tree, comments = ast.parse(source), comments_of(source)
    module = importlib.import_module(f'{package.name}.{path.stem}')
    move_patches(tree)
    body = {}  # what is public; of a name that gets two values, the last
    for node in tree.body:
        if isinstance(node, ast.Assign):
            body[ast.unparse(node.targets[0])] = values(node, comments)
        elif getattr(node, 'name', None) in NAMES:
            document(node, unwrapped(getattr(module, node.name)), comments)
            body[node.name] = [node]
    tree.body = [node for nodes in body.values() for node in nodes]
    set_docstring(tree, f'{rst(module.__doc__ or "")}\n\nMade and tried in :doc:`/{made_in}`.')
    return ast.unparse(ast.fix_missing_locations(tree))


def front() -> str:
    "The package's own page: the names that `import colorlab` gives, and where they live."
    stub = ast.parse((package / '__init__.pyi').read_text(encoding='utf-8'))
    names = [a.name for node in stub.body if isinstance(node, ast.ImportFrom) for a in node.names]
    first = '\n'.join(f'- :py:obj:`{package.name}.{name} <{NAMES[name]}>`' for name in names)
    text = f'Every module, made from its notebook. What most people need, ``from {package.name} import …`` gives:'
    return f'"""{text}\n\n{first}\n"""\n'
