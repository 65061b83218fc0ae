"""Slides of the four labs, out of the lessons' own cells: `make slides`.

One slide for each section of a lesson that has a picture or a formula: its heading, the first of each, and one
sentence about it. All prose becomes the speaker's notes (press S). The pictures are those that the lessons keep.

reveal.js and MathJax come from the internet. In a room without it, install them once beside the slides:
cd slides && npm install reveal.js@4 requirejs@2 jquery@3 mathjax@2
"""

import re
import sys
from pathlib import Path

import nbformat
from labs import LABS, root
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from traitlets.config import Config

PICTURES = 'image/png', 'image/jpeg', 'image/svg+xml'
LEFT_OUT = 'Exercises', 'Where to run it'
STYLE = """<style>
.reveal { font-size: 26px; } .reveal h1 { font-size: 2em; } .reveal h2 { font-size: 1.5em; }
.reveal section img { max-height: 380px; width: 100%; object-fit: contain; object-position: left; }
.jp-OutputPrompt, .jp-InputPrompt { display: none; }
.reveal p, .reveal ul { text-align: left; }
</style>"""


def lesson_of(name: str) -> Path:
    "The notebook of a lesson."
    (path,) = (root / 'nbs').glob(f'[0-9]*_{name}.ipynb')
    return path


def sections(nb) -> list:
    "The cells of a lesson, from one heading to the next; the first section is the title's."
    parts = [[]]
    for cell in nb.cells:
        if cell.cell_type == 'markdown' and cell.source.startswith('## '):
            parts.append([])
        parts[-1].append(cell)
    return parts


def sentences(text: str) -> list:
    "The sentences of a piece of prose, without headings, formulas, lists and tables."
    text = re.sub(r'\$\$.*?\$\$', '', text, flags=re.S)
    prose = [p for p in text.split('\n\n') if p.strip() and not re.match(r'\s*(#|[-*>|] |\d\.)', p)]
    found = [s for p in prose for s in re.split(r'(?<=[.?!:])\s+(?=[A-Z*`"(])', p.strip())]
    return [s if s.count('*') % 2 == 0 else s.strip('*') for s in found]  # italics may span sentences


def picture_of(cells: list) -> tuple:
    "The place of the first cell with a picture, and the picture as the only output; (None, None) if there is none."
    for i, cell in enumerate(cells):
        for output in cell.get('outputs', []):
            if kinds := [kind for kind in PICTURES if kind in output.get('data', {})]:
                shown = nbformat.from_dict(output)
                shown.data = {kinds[0]: output.data[kinds[0]]}
                return i, shown
    return None, None


def caption(cells: list, at: int) -> str:
    "What the text says about the picture of a cell: what announces it with a colon, and the sentence after it."
    before = [s for c in cells[:at] if c.cell_type == 'markdown' for s in sentences(c.source)]
    after = next((sentences(c.source) for c in cells[at + 1 :] if c.cell_type == 'markdown'), [])
    said = before[-1:] if before and before[-1].endswith(':') else []
    said = [s.removesuffix(':') + '.' for s in said] + [s for s in after[:1] if not s.endswith(':')]
    return ' '.join(said or before[-1:])


def slide(kind: str, source: str, **more):
    "A cell of text with its part in the slides: slide, fragment or notes."
    return new_markdown_cell(source, metadata=dict(slideshow=dict(slide_type=kind)), **more)


def slides_of(cells: list) -> list:
    "The slides of one section: none, if there is nothing to look at."
    text = [c.source for c in cells if c.cell_type == 'markdown']
    heading = text[0].split('\n')[0]
    if heading.removeprefix('## ').startswith('What we '):  # have, and what is missing
        points = text[0].split('## Exercises')[0].split('**Exercises')[0]
        return [slide('slide', points)]
    formulas = re.findall(r'\$\$.*?\$\$', '\n'.join(text), re.S)[:1]
    at, picture = picture_of(cells)
    if picture is None and not formulas:
        return []
    said = caption(cells, at) if picture else ' '.join(sentences(text[0])[:1])
    made = [slide('slide', '\n\n'.join([heading, *formulas]))]
    if picture:
        made.append(new_code_cell('', outputs=[picture], metadata=dict(slideshow=dict(slide_type='-'))))
    return [*made, slide('-', said), slide('notes', '\n\n'.join(text))]


def lab_slides(name: str):
    "A notebook whose cells are the slides of a lab."
    lab = LABS[name]
    cells = [slide('slide', f'{STYLE}\n\n# Lab {name[3:]}\n\n{lab.title}')]
    for lesson in lab.exercises:
        first, *others = sections(nbformat.read(lesson_of(lesson), as_version=4))
        title = first[0].source.replace('\n> ', '\n')
        cells += [
            slide('slide', title),
            slide('notes', '\n\n'.join(c.source for c in first if c.cell_type == 'markdown')),
        ]
        for part in others:
            if not part[0].source.removeprefix('## ').startswith(LEFT_OUT):
                cells += slides_of(part)
    return new_notebook(cells=cells, metadata=dict(title=f'{name}: {lab.title}'))


def exporter(folder: Path) -> SlidesExporter:
    "nbconvert's, without code; it takes reveal.js and the rest from `node_modules` if they lie there."
    config = Config()
    config.SlidesExporter.update(
        exclude_input=True, exclude_output_prompt=True, reveal_theme='simple', reveal_scroll=True
    )
    if (folder / 'node_modules').exists():
        config.SlidesExporter.update(
            reveal_url_prefix='node_modules/reveal.js',
            require_js_url='node_modules/requirejs/require.js',
            jquery_url='node_modules/jquery/dist/jquery.min.js',
            mathjax_url='node_modules/mathjax/MathJax.js?config=TeX-AMS_CHTML-full,Safe',
        )
    return SlidesExporter(config=config)


if __name__ == '__main__':
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else 'slides')
    folder.mkdir(exist_ok=True)
    for name in LABS:
        nb = lab_slides(name)
        html, _ = exporter(folder).from_notebook_node(nb)
        (folder / f'{name}.html').write_text(html, encoding='utf-8')
        count = sum(c.metadata.slideshow.slide_type == 'slide' for c in nb.cells)
        print(f'{folder / name}.html: {count} slides, {len(html) // 1024} kB')
