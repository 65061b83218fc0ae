"""Image colorization, taught and done.

The names of the stub file `__init__.pyi` are imported when they are first used, so that
`import colorlab` loads neither torch nor fastai.
"""

import lazy_loader

_lazy_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


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
    return found
