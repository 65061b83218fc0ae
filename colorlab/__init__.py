"""Image colorization, taught and done.

The names of the stub file `__init__.pyi` are imported when they are first used, so that
`import colorlab` loads neither torch nor fastai. `help` shows their parameters with the comments beside them.
"""

import lazy_loader

_lazy_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _add_parameters(obj):
    "Put parameters and their comments into the docstring, for `help`; of a class those of its methods, too."
    from inspect import cleandoc

    from fastcore.docments import DocmentText

    for one in (obj, *(vars(obj).values() if isinstance(obj, type) else ())):
        one = getattr(one, '__func__', one)  # of a class method
        own = getattr(one, '__module__', '') == obj.__module__ and getattr(one, '__doc__', None)
        if own and 'Parameters:' not in one.__doc__:
            text = str(DocmentText(one, docstring=False))  # a line for each parameter, if they have comments
            found = [line.strip() for line in text.splitlines()[1:-1]]
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
