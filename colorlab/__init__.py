"""Image colorization, taught and done. Nothing heavy is imported until it is used."""


def __getattr__(name):
    if name == 'Colorizer':
        from colorlab.colorizer import Colorizer
        return Colorizer
    if name == '__version__':
        from importlib.metadata import version
        return version('colorlab')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
