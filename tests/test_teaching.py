"""What the teacher's pages and the glossary say is there, is there; what they tell to load, loads."""

import json
import re
import shlex

import pytest
from conftest import root
from labs import LABS, lab_notebook, points

nbs = root / 'nbs'
teaching = nbs / 'teaching'
pages = [nbs / 'glossary.md', *sorted(teaching.glob('*.md'))]
plans = [teaching / f'{name}.md' for name in LABS]
TERM = re.compile(r'^\*\*(.+?)\*\*: (.+) \[`(\w+)`\]\((.+)\)$', re.M)


def prose(path):
    "The text of a notebook, in lower case."
    return ' '.join(''.join(cell['source']) for cell in json.loads(path.read_text())['cells']).lower()


def blocks(path, language):
    "The code of a page."
    found = re.findall(r'^```(\w*)\n(.*?)^```', path.read_text(), re.M | re.S)
    return [code for kind, code in found if kind == language]


@pytest.mark.parametrize('page', pages, ids=lambda p: p.stem)
def test_no_link_is_dead(page):
    text = page.read_text()
    headings = {re.sub(r'[^\w-]', '', h.lower().replace(' ', '-')) for h in re.findall(r'^#+ (.+)$', text, re.M)}
    for link in re.findall(r'\]\(([^)]+)\)', text):
        if link.startswith('#'):
            assert link[1:] in headings, link
        elif not link.startswith('https://'):
            assert (page.parent / link).exists(), link
    assert not re.search('http://|TODO|TABLE', text)


def test_the_glossary_is_sorted_and_its_lessons_use_the_terms():
    terms = TERM.findall((nbs / 'glossary.md').read_text())
    assert len(terms) > 80
    keys = [re.sub(r'[^a-z0-9]', '', term.lower().replace('λ', '')) for term, *_ in terms]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)
    texts = {}
    for term, meaning, lesson, link in terms:
        assert re.fullmatch(rf'(\w+/)?\d+_{lesson}\.ipynb', link), link
        text = texts.setdefault(link, prose(nbs / link))
        names = [name.strip(' )').lower() for name in re.split(r'[,(]', term)]
        assert any(name in text or name.replace('-', ' ') in text for name in names), f'{term}: not in {lesson}'
        assert meaning.endswith('.') and len(meaning) < 260


@pytest.mark.parametrize('plan', plans, ids=lambda p: p.stem)
def test_a_plan_is_90_minutes_of_what_is_in_the_lab(plan):
    text, lab = plan.read_text(), LABS[plan.stem]
    times = [(int(a), int(b)) for a, b in re.findall(r'^\| (\d+)–(\d+) \|', text, re.M)]
    assert times[0][0] == 0 and times[-1][1] == 90
    assert all(end == start for (_, end), (start, _) in zip(times, times[1:]))
    assert text.count('**checkpoint:**') >= 3 and '**If you fall behind' in text
    total = sum(map(points, lab_notebook(plan.stem, lab).cells))
    assert f'`labs/release/{plan.stem}` ({total} points)' in text
    assert all(re.search(rf'\[`{lesson}`\]\(\.\./\d+_{lesson}\.ipynb\)', text) for lesson in lab.exercises)


@pytest.mark.parametrize('plan', plans, ids=lambda p: p.stem)
def test_what_a_plan_tells_to_load_loads(plan):
    for code in blocks(plan, 'python'):
        exec(code, {})


def test_the_commands_on_the_pages_are_understood():
    from typer.main import get_command

    from colorlab.cli import app
    from colorlab.recipes import DISCRIMINATORS, NETWORKS

    lines = [line for page in pages for code in blocks(page, '') for line in code.splitlines()]
    lines = [shlex.split(line)[1:] for line in lines if line.startswith('colorlab ')]
    assert len(lines) >= 5
    for command, *args in lines:
        found = get_command(app).commands[command].make_context(command, args).params  # parsed, not run
        assert (found.get('arch') or 'cnn') in NETWORKS and (found.get('disc') or 'patch') in DISCRIMINATORS


def test_the_hours_on_a_t4_are_those_of_the_estimate():
    from colorlab.presets import PRESETS
    from colorlab.recipes import estimate_hours, system_settings

    rows = re.findall(r'^\| (R\d\S*) \| (\d+) \| (\d+) \| ([\d.]+) \|$', (teaching / 'gpu.md').read_text(), re.M)
    assert [name for name, *_ in rows] == [*PRESETS]
    for name, epochs, size, hours in rows:
        wanted = system_settings(name)
        assert (wanted['epochs'], wanted['size']) == (int(epochs), int(size))
        if name in ('R1', 'R2-unet'):  # the others take seconds to count
            assert f'about {hours} hours on a T4' in estimate_hours(wanted, 10_000)


@pytest.mark.parametrize(
    'container, ignore',
    [(root / 'Dockerfile', root / '.dockerignore'), (teaching / 'Dockerfile', teaching / 'Dockerfile.dockerignore')],
    ids=['app', 'lessons'],
)
def test_the_container_copies_what_there_is_and_what_the_package_needs(container, ignore):
    copied = re.findall(r'^COPY (.+) \S+$', container.read_text(), re.M)
    sources = {name for line in copied for name in line.split()}
    assert all((root / name).exists() for name in sources)
    kept = {line[1:] for line in ignore.read_text().splitlines() if line[0] == '!'}
    assert kept == sources
    setup = (root / 'setup.py').read_text()
    assert {'settings.ini', 'README.md', 'data/sample', 'data/old_photos'} <= sources
    assert {name for name in re.findall(r"'(data/\w+|[A-Z]+\.md)'", setup)} <= sources
