"""What nbdev's commands call, named in pyproject.toml.

`export_procs`: `nbdev-export` breaks the lines of `__all__` at 120 characters. nbdev breaks them itself, but counts the
width of the first from the bracket on: ten characters late.

`test_setup`: `nbdev-test` lays figures out, texts and all, and makes no pictures of them. By itself it draws them twice
as large as a browser shows them, for screens with many pixels, although nobody looks: a tenth of all its time.
"""

from textwrap import TextWrapper

START = '__all__ = '


class AllWrapper(TextWrapper):
    "Wraps the names of a module as they stand behind `__all__ = `."

    def wrap(self, text: str) -> list[str]:
        "Lines, the first without what nbdev writes before it."
        first, *others = super().wrap(START + text)
        return [first.removeprefix(START), *others]


def short_all(cell):
    "A processor of nbdev, called for each cell; it leaves them as they are."
    import nbdev.maker

    nbdev.maker.TextWrapper = AllWrapper


def figures_without_pictures(cells):
    "Called once with all cells, before the processes that run them are made."
    from IPython.core import pylabtools

    pylabtools.print_figure = lambda figure, **how: figure.draw_without_rendering()
