"""Image colorization, taught and done.

The names of the stub file `__init__.pyi` are imported when they are first used, so that
`import colorlab` loads neither torch nor fastai. `help` shows their parameters with the comments beside them.
"""

import sys

import lazy_loader

_lazy_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _parameter_lines(obj) -> list:
    "What the source says of a function's parameters, or of a dataclass's fields: a line for each, with its comment."
    import linecache
    import re
    from itertools import takewhile

    lines = linecache.getlines(sys.modules[obj.__module__].__file__)
    head = re.compile(rf'(def|class) {obj.__name__}\b')
    first = next((i for i, line in enumerate(lines) if head.match(line)), None)
    if first is None:
        return []
    if lines[first].startswith('class'):
        body = takewhile(lambda line: not re.match(r' *(def|@)|\S', line), lines[first + 1 :])
        return [line.strip() for line in body if re.match(r' +[a-z]\w*: ', line)]
    if not lines[first].endswith('(\n'):
        return []
    body = takewhile(lambda line: not line.startswith(')'), lines[first + 1 :])
    return [line.strip() for line in body if not re.match(r' +(# long|self|cls)\b', line)]


def _add_parameters(obj):
    "Put them into the docstring, for `help`; of a class those of its methods, too."
    from inspect import cleandoc

    for one in (obj, *(vars(obj).values() if isinstance(obj, type) else ())):
        one = getattr(one, '__func__', one)  # of a class method
        own = getattr(one, '__module__', '') == obj.__module__ and getattr(one, '__doc__', None)
        found = _parameter_lines(one) if own and 'Parameters:' not in one.__doc__ else []
        if found:
            one.__doc__ = '\n\n'.join([cleandoc(one.__doc__), 'Parameters:\n' + '\n'.join(found)])


def __getattr__(name):
    if name == '__version__':
        from importlib.metadata import version

        from colorlab.formats import DISTRIBUTION

        return version(DISTRIBUTION)
    try:
        found = _lazy_attribute(name)
    except ModuleNotFoundError as e:
        from colorlab.formats import missing_package

        raise missing_package(e) or e from None
    if name in ('color_learner', 'fine_tune', 'train'):  # these hand out learners, which get the method `to_colorizer`
        from colorlab.export import add_to_colorizer

        add_to_colorizer()
    _add_parameters(found)
    return found
