"""What Sphinx reads, made from the notebooks and the modules: `make docs` calls this, then sphinx-build.

Pages lie under names without numbers (nbs/06_cnn.ipynb is course/cnn), so that an address outlives a renumbering.
"""

import json
import re
import shutil
from pathlib import Path

from reference import cfg, front, package, readable, root, whole_name

nbs = root / cfg['nbs_path']
build = root / 'docs' / '_build'
PICTURES = '.jpg', '.png', '.svg'

PARTS = {  # a folder of nbs: the folder of its pages, their title, what they are
    '.': ('course', 'The course', 'Read from top to bottom. Each lesson stands on the ones above.'),
    'foundations': ('foundations', 'Foundations', 'What the lessons stand on: files, data sets, runs, training.'),
    'extras': ('extras', 'Extras', 'How the product is made. No lesson of the course needs them.'),
    'interfaces': ('interfaces', 'Interfaces', 'The command line and the app: what people use.'),
    'train': (
        'train',
        'Final notebooks',
        'They only import colorlab, and train in earnest.',
    ),
    'solutions': ('solutions', 'Solutions', 'The exercises of the course, solved. Try them yourself first.'),
    'teaching': ('teaching', 'For teachers', 'Plans, sheets and slides for a course of your own.'),
}


# where things stand


def documents() -> list:
    "Every notebook and every page of text below nbs."
    found = [*nbs.rglob('*.ipynb'), *nbs.rglob('*.md')]
    return sorted(p for p in found if '.ipynb_checkpoints' not in p.parts)


def page(
    path: Path,  # a notebook or a text below nbs
) -> str:  # the name of its page, as in `course/cnn`
    "Where a document stands on the site."
    folder = path.relative_to(nbs).parent.as_posix()
    name = 'index' if path.stem == 'README' else re.sub(r'^\d+_', '', path.stem)
    if folder == '.' and path.suffix == '.md':
        return name
    first, *more = folder.split('/')
    return '/'.join([PARTS[first][0], *more, name])


def blob(path: Path, version: str = cfg['branch']) -> str:
    "The address of a file in the repository, of today or of a release."
    return f'{cfg["git_url"]}/blob/{version}/{path.relative_to(root).as_posix()}'


def target(
    link: str,  # as it stands in a document
    path: Path,  # that document
) -> str:  # as it must stand on the site
    "The same place on the site; what is no page of it, in the repository."
    if re.match(r'[a-z]+:|[#/]', link):
        return link
    name, anchor = re.match(r'([^#]*)(.*)', link).groups()
    place = (path.parent / name).resolve()
    if place.is_relative_to(nbs) and place.is_file() and place.suffix in ('.ipynb', '.md'):
        return f'/{page(place)}{place.suffix}{anchor}'
    if place.is_relative_to(nbs) and place.suffix in PICTURES:
        return f'/{place.relative_to(nbs)}'
    if place.parent == nbs and place.name in PARTS:
        return f'/{PARTS[place.name][0]}/index.md'
    return blob(place) + anchor if place.exists() else link


LESSONS = {  # the name of a lesson, and its notebook
    re.sub(r'^\d+_', '', p.stem): p
    for folder in ('.', 'foundations', 'extras', 'interfaces')
    for p in (nbs / folder).glob('[0-9]*.ipynb')
}
MARKDOWN = re.compile(
    r'(?P<fence>^(?P<ticks>```+).*?^(?P=ticks)`*$)'
    r'|(?P<link>\[(?P<label>[^\]\n]*)\]\((?P<where>[^()\s]+)\))'
    r'|(?P<heading>^#+ [^\[\n]*$)'
    r'|(?P<lesson>\b(?:[Ll]esson|[Nn]otebook)s? `\w+`(?:(?:, | and | or |, and )`\w+`)*)'
    r'|`(?P<code>[^`\n]+)`',
    re.M | re.S,
)


def for_site(
    text: str,  # Markdown
    path: Path,  # the document that it comes from
) -> str:
    "Links point to pages; lessons and public names that are mentioned become links."

    def better(match):
        if match['link']:
            return f'[{match["label"]}]({target(match["where"], path)})'
        if match['lesson']:
            return re.sub(r'`(\w+)`', lesson, match[0])
        if match['code'] and (name := whole_name(match['code'])):
            return f'{{py:obj}}`{match["code"]} <{name}>`'
        return match[0]

    def lesson(match):
        there = LESSONS.get(match[1], path)
        return match[0] if there == path else f'[{match[0]}](/{page(there)}.ipynb)'

    return MARKDOWN.sub(better, text)


# notebooks


MARKS = re.compile(r'^ *### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)\n?', re.M)  # of nbgrader, in the solutions


def without_directives(source: str) -> str:
    "The code that a reader sees: nothing of a hidden cell, and no directive of nbdev."
    hidden = re.search(r'^#\|\s*hide\s*$', source, re.M)
    source = re.sub(r'^(!.*) \\\n +', r'\1 ', source, flags=re.M)  # a command in one line: Pygments knows no other
    return '' if hidden else re.sub(r'^#\|.*\n?', '', source, flags=re.M).strip('\n')


def badges(
    path: Path,  # of a notebook
    module: str | None = None,  # that it exports
) -> str:
    "The line of links below the title of a notebook."
    released = blob(path, cfg['release'])  # what its install cell asks for
    colab = released.replace('https://github.com', 'https://colab.research.google.com/github', 1)
    links = [
        f'[Open in Colab]({colab}){{.badge .colab}}',
        f'[Open in Kaggle](https://kaggle.com/kernels/welcome?src={released}){{.badge .kaggle}}',
        f'[Notebook]({released}){{.badge}}',
    ]
    if module:
        links.append(f'[Reference](/api/{package.name}/{module}/index.rst){{.badge}}')
    return ' '.join(links)


def exported_module(notebook: dict) -> str | None:
    "The module that a notebook writes."
    code = '\n'.join(''.join(c['source']) for c in notebook['cells'] if c['cell_type'] == 'code')
    found = re.search(r'^#\| default_exp (\w+)', code, re.M)
    return found and found[1]


def tags(source: str) -> list:
    "How a cell with code shows what it is; the long install cell of a final notebook is folded."
    if '#| export' in source:
        return ['exported']
    return ['hide-input'] if '#| eval: false' in source and source.count('\n') > 5 else []


def for_site_cell(cell: dict, path: Path) -> dict:
    "A cell as the site shows it."
    source = MARKS.sub('', ''.join(cell['source']))
    if cell['cell_type'] == 'code':
        return cell | {'source': without_directives(source), 'metadata': {'tags': tags(source)}}
    return cell | {'source': for_site(source, path)}


def for_site_notebook(path: Path) -> dict:
    "A notebook as the site shows it: badges below the title, links, no hidden cells, no directives."
    notebook = json.loads(path.read_text(encoding='utf-8'))
    title, *shown = [c for c in (for_site_cell(c, path) for c in notebook['cells']) if c['source'].strip()]
    line = {'cell_type': 'markdown', 'id': 'badges', 'metadata': {}, 'source': badges(path, exported_module(notebook))}
    notebook['metadata']['language_info'] = {'name': 'python', 'pygments_lexer': 'ipython3'}  # knows `!pip`
    return notebook | {'cells': [title, line, *shown]}


# pages that list others


def heading_and_summary(path: Path) -> tuple:
    "A document's first heading, and the quoted line below it or nothing."
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.ipynb':
        text = ''.join(json.loads(text)['cells'][0]['source'])
    heading, summary = re.search(r'^# (.+)', text, re.M), re.search(r'^> (.+)', text, re.M)
    return heading[1].strip(), summary[1].strip() if summary else ''


def toctree(names: list, caption: str = '') -> str:
    "A table of contents that only the sidebar shows."
    entries = '\n'.join(names)
    options = f':hidden:\n:caption: {caption}\n' if caption else ':hidden:\n'
    return f'\n```{{toctree}}\n{options}\n{entries}\n```\n'


def inside(part: str) -> list:
    "The documents of a part."
    return [p for p in documents() if page(p).startswith(f'{PARTS[part][0]}/')]


def overview(part: str) -> str:
    "The page that lists what a part holds, or the README of its folder."
    _, title, about = PARTS[part]
    readme = nbs / part / 'README.md'
    told = {path: heading_and_summary(path) for path in inside(part) if path != readme}
    short = {path: heading.split(':')[0] for path, (heading, _) in told.items()}
    rows, entries = [], []
    for path, (heading, summary) in told.items():
        rows.append(f'- **[{heading}](/{page(path)}{path.suffix})**\n\n  {for_site(summary, path)}\n')
        name = short[path] if list(short.values()).count(short[path]) == 1 else heading
        number = ''.join(re.findall(r'^\d+(?=_)', path.stem))
        entries.append(f'{number} {name} </{page(path)}>'.strip())
    listing = '\n'.join(rows)
    text = f'# {title}\n\n{about}\n\n::::{{container}} listing\n{listing}\n::::\n'
    return (for_site(readme.read_text(encoding='utf-8'), readme) if readme.exists() else text) + toctree(entries)


def front_page() -> str:
    "The first page, with what settings.ini says in place of {names}."
    path = root / 'docs' / 'index.md'
    text = re.sub(r'\{(\w+)\}', lambda m: cfg.get(m[1], m[0]), path.read_text(encoding='utf-8'))
    if not shutil.which('npm'):  # see build_page.py
        text = re.sub(r'<a href="page/.*?</a> · ', '', text)
    return for_site(text, path)


def pages() -> dict:
    "Every page that is no notebook: its name, and its text."
    texts = {page(p): for_site(p.read_text(encoding='utf-8'), p) for p in documents() if p.suffix == '.md'}
    look_up = [name for name in texts if '/' not in name]
    overviews = {f'{PARTS[part][0]}/index': overview(part) for part in PARTS if inside(part)}
    look_up = toctree([*look_up, f'Reference <api/{package.name}/index>'], 'Look up')
    return texts | overviews | {'index': front_page() + toctree(list(overviews), 'Learn') + look_up}


def write(path: Path, text: str):
    "Write a file that has changed; Sphinx leaves the others as they are."
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding='utf-8') != text:
        path.write_text(text, encoding='utf-8')


def prepare():
    "Everything that Sphinx reads, in docs/_build; what is there of an earlier build and no longer wanted goes."
    source, modules = build / 'source', build / 'modules' / package.name
    notebooks = [p for p in documents() if p.suffix == '.ipynb']
    files = {source / f'{page(p)}.ipynb': json.dumps(for_site_notebook(p), ensure_ascii=False) for p in notebooks}
    files |= {source / f'{name}.md': text for name, text in pages().items()}
    for name, path in LESSONS.items():
        if (module := package / f'{name}.py').exists():  # the first lesson makes none
            files[modules / module.name] = readable(module, page(path))
    files[modules / '__init__.py'] = front()
    for path, text in files.items():
        write(path, text)
    for path in (p for p in nbs.rglob('*') if p.suffix in PICTURES):
        (source / path.relative_to(nbs)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, source / path.relative_to(nbs))
    for path in [*source.rglob('*.ipynb'), *source.rglob('*.md'), *modules.glob('*.py')]:
        if path not in files:
            path.unlink()


if __name__ == '__main__':
    prepare()
