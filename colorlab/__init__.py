"""Image colorization, taught and done.

The names of the stub file `__init__.pyi` are imported when they are first used, so that
`import colorlab` loads neither torch nor fastai.
"""

import lazy_loader

_lazy_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    if name == '__version__':
        from importlib.metadata import version

        return version('colorlab')
    return _lazy_attribute(name)
