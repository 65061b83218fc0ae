"""Named by `export_procs` in pyproject.toml: `nbdev-export` breaks the lines of `__all__` at 120 characters.

nbdev breaks them itself, but counts the width of the first from the bracket on: ten characters late.
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
