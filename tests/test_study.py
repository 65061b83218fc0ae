"""The study as people meet it: the page in a real browser, thirty raters at once, a kill, a full disk, the commands."""

import csv
import json
import os
import re
import runpy
import shutil
import signal
import socket
import sqlite3
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import Running, colorlab, root
from PIL import Image
from scipy import stats

from colorlab.analysis import analyze_table, holm, summary_paragraph, verdict
from colorlab.answers import analyze, read_answers, read_key
from colorlab.cli_study import network_address, qr_code
from colorlab.crossed import mean_design
from colorlab.images import BadInput
from colorlab.sentences import format_ps
from colorlab.study import QUESTION_TYPES, assign_seats, seats_table, simulate, trial_variants
from colorlab.survey import build_study

bench = runpy.run_path(str(root / 'benchmarks' / 'study.py'))
small_study, load, serve, post, free_port = (bench[n] for n in ('small_study', 'load', 'serve', 'post', 'free_port'))


@pytest.fixture(scope='module')
def box(tmp_path_factory):
    "A folder with truth, pale and a study."
    folder = tmp_path_factory.mktemp('box')
    small_study(folder, photos=4)
    return folder


@pytest.fixture(scope='module')
def browser():
    api, program = pytest.importorskip('playwright.sync_api'), shutil.which('chromium') or shutil.which('google-chrome')
    if not program:
        pytest.skip('there is no Chromium on this machine')
    with api.sync_playwright() as p:
        found = p.chromium.launch(executable_path=program, args=['--no-sandbox'])
        yield found
        found.close()


def picture_of_page(page, name):
    "Keep a screenshot where COLORLAB_SHOTS says."
    if os.environ.get('COLORLAB_SHOTS'):
        page.screenshot(path=f'{os.environ["COLORLAB_SHOTS"]}/{name}.png')


def inside(page, selector):
    "Whether something lies wholly on the screen, without scrolling."
    box, view = page.locator(selector).bounding_box(), page.viewport_size
    return (
        box['x'] >= 0
        and box['y'] >= 0
        and box['x'] + box['width'] <= view['width'] + 1
        and box['y'] + box['height'] <= view['height'] + 1
    )


@pytest.mark.parametrize('device, width, height', (('desktop', 1280, 800), ('phone', 375, 667)))
@pytest.mark.parametrize('kind', ('rating', 'real', 'pair'))
def test_the_page_in_a_browser(browser, box, tmp_path, kind, device, width, height):
    key = build_study(box / 'truth', dict(pale=box / 'pale'), tmp_path / 'study', question_type=kind, raters=4)
    choices = list(json.loads((tmp_path / 'study' / 'public' / 'study.json').read_text())['choices'])
    context = browser.new_context(
        viewport=dict(width=width, height=height), has_touch=device == 'phone', accept_downloads=True
    )
    page, wrong = context.new_page(), []
    page.on('pageerror', lambda e: wrong.append(str(e)))
    page.on('console', lambda m: wrong.append(m.text) if m.type == 'error' else None)
    page.on('request', lambda r: wrong.append(r.url) if not r.url.startswith(('file:', 'data:', 'blob:')) else None)
    address = (tmp_path / 'study' / 'public' / 'study.html').as_uri() + '?rater=1'
    page.goto(address)
    assert 'voluntary' in page.locator('#start').inner_text()
    picture_of_page(page, f'{kind}-{device}-start')
    page.get_by_role('button', name='I agree').click()
    n = len(key['checks']) + 4
    for trial in range(n):
        page.get_by_role('heading', name=re.compile(f'{trial + 1} of {n}$')).wait_for()
        assert page.evaluate('document.activeElement.id') == 'where', (
            'a screen reader is told that a new picture has come'
        )
        assert page.get_by_role('button', name='Next').is_disabled()
        assert page.get_by_role('group', name=QUESTION_TYPES[kind].question).get_by_role('radio').count() == len(
            choices
        ) and page.get_by_role('img', name=re.compile('Picture')).count() == 1 + (kind == 'pair')
        page.wait_for_function('[...document.querySelectorAll("#shown img")].every(i => i.complete && i.naturalWidth)')
        for part in ('#shown', 'fieldset', '#next'):
            assert inside(page, part), f'{part} takes scrolling on a {device}'
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        if trial < 6:
            picture_of_page(page, f'{kind}-{device}-{trial}')
        choice = choices[trial % len(choices)]
        if device == 'desktop':  # by keyboard alone
            page.keyboard.press(choice[0])
            page.keyboard.press('Enter')
        else:
            assert page.locator('.choices label').first.bounding_box()['height'] >= 44
            page.locator(f'label:has(input[value="{choice}"])').tap()
            page.get_by_role('button', name='Next').tap()
        if trial == 2:  # closed and opened again, it goes on
            page.get_by_role('heading', name=re.compile(f'{trial + 2} of {n}$')).wait_for()
            page.goto(address)
    page.get_by_role('heading', name='Thank you').wait_for()
    picture_of_page(page, f'{kind}-{device}-end')
    with page.expect_download() as saved:
        page.get_by_role('link', name='Save my answers').click()
    saved.value.save_as(tmp_path / 'answers' / saved.value.suggested_filename)
    assert saved.value.suggested_filename == f'answers-{page.locator("#code").inner_text()}.csv' and wrong == []
    raw, notes = read_answers(key, [tmp_path / 'answers'])
    seat = json.loads((tmp_path / 'study' / 'public' / 'study.json').read_text())['seats'][1]
    assert list(raw.shown) == seat and list(raw.answer) == [choices[t % len(choices)] for t in range(n)] and notes == []
    page.on('dialog', lambda d: d.accept())
    page.get_by_role('button', name='Delete my answers').click()
    page.get_by_role('heading', name='deleted').wait_for()
    page.goto(address)
    page.get_by_role('button', name='I agree').wait_for()
    context.close()


def test_the_service_in_a_browser_dies_and_comes_back(browser, tmp_path):
    small_study(tmp_path, photos=3, raters=4)
    folder, port = tmp_path / 'study', free_port()
    (folder / 'key.json').rename(tmp_path / 'key.json')
    process = serve(folder, port)
    try:
        page = browser.new_context().new_page()
        page.goto(f'http://127.0.0.1:{port}/')
        page.get_by_role('button', name='I agree').click()
        page.get_by_role('heading', name='Picture 1 of 5').wait_for()
        page.keyboard.press('4')
        page.keyboard.press('Enter')
        page.get_by_role('heading', name='Picture 2 of 5').wait_for()
        process.kill()
        process.wait()
        page.keyboard.press('2')
        page.keyboard.press('Enter')
        page.get_by_role('alert').filter(has_text='Not kept yet (no connection)').wait_for()
        picture_of_page(page, 'service-down')
        assert inside(page, '#trial .said')
        assert (
            page.locator('input[value="2"]').is_checked()
            and page.get_by_role('heading', name='Picture 2 of 5').is_visible()
        )
        process = serve(folder, port)
        page.get_by_role('button', name='Next').click()
        page.get_by_role('heading', name='Picture 3 of 5').wait_for()
        page.reload()
        for trial in (3, 4, 5):
            page.get_by_role('heading', name=f'Picture {trial} of 5').wait_for()
            page.keyboard.press('5')
            page.keyboard.press('Enter')
        page.get_by_text('All your answers have arrived').wait_for()
        rows = (
            sqlite3.connect(folder / 'answers.sqlite')
            .execute('select rater, trial, answer from answers order by trial')
            .fetchall()
        )
        assert [r[2] for r in rows] == ['4', '2', '5', '5', '5'] and rows[0][0] == page.locator('#code').inner_text()
        page.on('dialog', lambda d: d.accept())
        page.get_by_role('button', name='Delete my answers').click()
        page.get_by_role('heading', name='deleted').wait_for()
        assert sqlite3.connect(folder / 'answers.sqlite').execute('select count(*) from answers').fetchone() == (0,)
    finally:
        process.kill()


def is_open(host, port):
    "Whether somebody listens there."
    with socket.socket() as asking:
        return not asking.connect_ex((host, port))


def test_serve_prints_an_address_that_phones_reach(tmp_path):
    "On every network: the address under which it is found, and its QR code. On this machine only: a line instead."
    small_study(tmp_path, photos=3, raters=4)
    found, port = network_address('0.0.0.0') or '127.0.0.1', free_port()
    for host, here in (('127.0.0.1', '127.0.0.1'), ('0.0.0.0', found)):
        serving = Running('study', 'serve', tmp_path / 'study', '--host', host, '--port', port)
        serving.wait_for(lambda: is_open(here, port))
        said = serving.end(signal.SIGINT).stdout
        assert said.startswith(f'the study is at http://{here}:{port}/; Ctrl-C')
        alone = here == '127.0.0.1'
        assert alone == ('--host 0.0.0.0 lets in phones' in said) and alone != (
            qr_code(f'http://{here}:{port}/') in said
        )
    serving = Running('study', 'serve', tmp_path, '--port', port).end()
    assert serving.returncode == 1 and not serving.stdout and 'is not a study' in serving.stderr


def test_thirty_raters_and_a_kill(tmp_path):
    small_study(tmp_path, photos=12)
    got = load(tmp_path / 'study')
    print(got)
    assert got['lost'] == 0 and got['stored'] == got['expected'] == 30 * 14 and got['at_kill'] >= 30 * 7
    found = sqlite3.connect(tmp_path / 'study' / 'answers.sqlite')
    assert found.execute('pragma journal_mode').fetchone() == ('wal',)
    assert [c[1] for t in ('raters', 'answers') for c in found.execute(f'pragma table_info({t})')] == [
        'rater',
        'token',
        'seat',
        'rater',
        'trial',
        'shown',
        'answer',
        'seconds',
    ], 'neither names, addresses nor times'
    assert found.execute('select count(distinct seat), count(*) from raters').fetchone() == (30, 30)


def test_nobody_gets_at_anothers_answers(tmp_path):
    small_study(tmp_path, photos=3, raters=4)
    port = free_port()
    process = serve(tmp_path / 'study', port)
    try:
        ann, bob = (post(port, '/join', {})[1] for _ in range(2))
        assert post(port, '/answer', dict(trial=0, answer='4'), ann['token'])[0] == 200
        hashed = sqlite3.connect(tmp_path / 'study' / 'answers.sqlite').execute('select token from raters').fetchall()
        for guess in ('', ann['rater'], 'x', "' or 1=1 --", hashed[0][0], ann['token'][:-1]):
            assert (
                post(port, '/answer', dict(trial=1, answer='4'), guess)[0] == 401
                and post(port, '/forget', {}, guess)[0] == 401
            )
        assert post(port, '/answer', dict(trial=1, answer='1', rater=ann['rater']), bob['token'])[0] == 200
        assert post(port, '/forget', dict(rater=ann['rater']), bob['token'])[1] == dict(forgotten=1)
        assert post(port, '/join', {}, ann['token'])[1]['answered'] == {'0': '4'}
    finally:
        process.kill()


def test_idle_connections_and_slow_bodies_keep_nobody_out(tmp_path):
    "600 that say nothing, 50 whose answer never ends: others come in, and the service ends when it is told to."
    small_study(tmp_path, photos=2, raters=4)
    port = free_port()
    process = serve(tmp_path / 'study', port)
    try:
        idle = [socket.create_connection(('127.0.0.1', port)) for _ in range(600)]
        me = post(port, '/join', {})[1]
        slow = [socket.create_connection(('127.0.0.1', port)) for _ in range(50)]
        for line in slow:
            head = (
                f'POST /answer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {me["token"]}\r\nContent-Length: 99\r\n\r\n'
            )
            line.sendall(head.encode() + b'{')
        assert post(port, '/answer', dict(trial=0, answer='4'), me['token'])[0] == 200
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert sum(line.recv(1) == b'' for line in idle) == 600, 'all are closed'
    finally:
        process.kill()


def test_a_link_admits_one_rater(browser, tmp_path):
    small_study(tmp_path, photos=2, raters=4)
    port = free_port()
    colorlab('study', 'invite', tmp_path / 'study', 2, '--address', f'http://127.0.0.1:{port}')
    links = (tmp_path / 'study' / 'invitations.txt').read_text().split()
    process = serve(tmp_path / 'study', port)
    try:
        assert post(port, '/join', {}) == (
            400,
            {'error': 'this study is by invitation: open the link that you were sent'},
        )
        page = browser.new_context().new_page()
        for link in (links[0], links[1], links[0]):  # on one telephone, one after the other
            page.goto('about:blank')
            page.goto(link)
            page.get_by_role('button', name='I agree').click()
            page.get_by_role('heading', name='Picture 1 of 4').wait_for()
        found = sqlite3.connect(tmp_path / 'study' / 'answers.sqlite').execute('select count(*) from raters').fetchone()
        assert found == (2,)
    finally:
        process.kill()


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='limits another process only on Linux')
def test_a_full_disk_loses_nothing(tmp_path):
    import resource

    small_study(tmp_path, photos=3, raters=4)
    port = free_port()
    process = serve(tmp_path / 'study', port)
    try:
        me = post(port, '/join', {})[1]
        assert post(port, '/answer', dict(trial=0, answer='4'), me['token'])[0] == 200
        unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2048, unlimited[1]))  # from now on writing fails
        status, said = post(port, '/answer', dict(trial=1, answer='2'), me['token'])
        assert status == 503 and said['error'].startswith('not kept: ')
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert post(port, '/answer', dict(trial=1, answer='2'), me['token']) == (200, dict(trial=1, kept='2'))
        assert post(port, '/join', {}, me['token'])[1]['answered'] == {'0': '4', '1': '2'}
    finally:
        process.kill()


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='limits another process only on Linux')
def test_a_full_disk_leaves_no_half_study(box, tmp_path):
    done = colorlab(
        'study',
        'build',
        '--truth',
        box / 'truth',
        '--model',
        f'pale={box / "pale"}',
        '--out',
        tmp_path / 'study',
        '--raters',
        4,
        check=False,
        file_limit=60_000,  # pictures fit, the page does not
    )
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and list(tmp_path.iterdir()) == []


def test_the_commands(box, tmp_path):
    folder = tmp_path / 'study'
    for name in ('truth', 'pale'):
        shutil.copytree(box / name, tmp_path / name)
    build = ['study', 'build', '--truth', tmp_path / 'truth', '--model', f'pale={tmp_path / "pale"}', '--out', folder]
    few = colorlab(*build, check=False)
    assert few.returncode == 1 and few.stderr.count('\n') == 1 and 'take more photos' in few.stderr
    (tmp_path / 'consent.txt').write_text('Dear raters, {trials} pictures.\n\nAsk {contact}.')
    colorlab(*build, '--raters', 8, '--consent', tmp_path / 'consent.txt', '--contact', 'ü@x.org')
    assert 'Dear raters, 6 pictures.' in (folder / 'public' / 'study.html').read_text(
        encoding='utf-8'
    ) and 'ü@x.org' in (folder / 'public' / 'study.html').read_text(encoding='utf-8')
    key, design = read_key(folder), json.loads((folder / 'public' / 'study.json').read_text())
    (folder / 'answers').mkdir()
    for r, seat in enumerate(design['seats'][:6]):
        with open(folder / 'answers' / f'{r}.csv', 'w', newline='') as f:
            rows = [
                (
                    key['study'],
                    f'rater{r}',
                    t,
                    s,
                    key['checks'].get(s) or 3 + (key['pictures'][s]['version'] == 'truth') + (r + t) % 2,
                    1.5,
                )
                for t, s in enumerate(seat)
            ]
            csv.writer(f, lineterminator='\n').writerows(
                [('study', 'rater', 'trial', 'shown', 'answer', 'seconds'), *rows]
            )
    said = colorlab('study', 'analyze', folder, '--out', tmp_path / 'report.html').stdout
    assert '6 raters gave 24 answers about 4 photos' in said and 'Real photos minus pale pictures' in said
    report = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert 'data:image/png' in report and 'http' not in report
    colorlab('study', 'forget', folder, 'rater2')
    assert '5 raters gave 20' in colorlab('study', 'analyze', folder).stdout
    whole = (folder / 'answers' / '0.csv').read_text()
    bad = {
        'torn': whole[:-20],
        'is no answer': whole.replace(whole.splitlines()[1], whole.splitlines()[1].rsplit(',', 2)[0] + ',NaN,1.5'),
        'another study': whole.replace(key['study'], 'other'),
        'neither': 'a,b\n1,2\n',
    }
    for words, text in bad.items():
        (folder / 'answers' / '0.csv').write_text(text)
        with pytest.raises(BadInput, match=words) as said:
            analyze(key, [folder / 'answers'])
        assert (
            '0.csv' in str(said.value)
            and '\n' not in str(said.value)
            and (folder / 'answers' / '0.csv').read_text() == text
        )
    done = colorlab('study', 'analyze', folder, check=False)
    assert done.returncode == 1 and done.stderr.count('\n') == 1 and 'neither' in done.stderr
    again = colorlab(*build, '--raters', 8, check=False)
    assert again.returncode == 1 and 'is there already' in again.stderr and read_key(folder) == key
    Image.new('RGB', (9, 9)).save(next((tmp_path / 'pale').iterdir()))
    shutil.rmtree(folder)
    done = colorlab(*build, '--raters', 8, check=False)
    assert done.returncode == 1 and 'one size' in done.stderr and done.stderr.count('\n') == 1 and not folder.exists()
    for args in (
        ['build', '--truth', tmp_path / 'truth', '--model', 'pale', '--out', folder],
        ['serve', tmp_path],
        ['analyze', tmp_path],
        ['export', tmp_path, '--out', 'x'],
        ['forget', tmp_path, 'x'],
    ):
        done = colorlab('study', *args, check=False)
        assert done.returncode == 1 and done.stderr.count('\n') == 1, args


def test_google_forms(tmp_path):
    key = dict(
        study='r1',
        kind='rating',
        margin=0.5,
        versions=['truth', 'gan'],
        checks={},
        pictures={f'p{i}': dict(photo=f'{i}', version='truth' if i < 2 else 'gan') for i in range(4)},
    )
    (tmp_path / 'key.json').write_text(json.dumps(key))
    sheet = 'Timestamp,"A, real? [p0]",B [p1],C [p2],D [p3],Remarks\n' + ''.join(
        f'2021/11/0{i} 1:10:07 PM GMT+1,{a},"no, ""thanks""\nat all"\n'
        for i, a in enumerate(('5,4,2,1', '4,5,1,3', '5,3,3,', '4,4,2,2'), 1)
    )
    (tmp_path / 'form.csv').write_bytes(b'\xef\xbb\xbf' + sheet.strip().encode())  # no end of line, as Google writes it
    shutil.copy(tmp_path / 'form.csv', tmp_path / 'form (1).csv')
    raw, notes = read_answers(key, [tmp_path / 'form.csv', tmp_path / 'form (1).csv'])
    assert (
        len(raw) == 15
        and raw.rater.nunique() == 4
        and notes == ['2 answers left empty', '15 answers met twice (the first of each was used)']
    )
    c = analyze(key, [tmp_path / 'form.csv']).comparisons[0]
    assert c.answers == 15 and c.low < 2.3 < c.high
    said = colorlab('study', 'analyze', tmp_path / 'key.json', '--answers', tmp_path / 'form.csv').stdout
    assert '4 raters gave 15 answers about 4 photos' in said


def test_the_interval_of_a_share_stays_inside():
    "Nearly always chosen: the linear interval would reach 101 %."
    seen = [(r, f'{p}', 'pale or truth', float(r == p == 0)) for r in range(12) for p in range(8)]
    table = pd.DataFrame(seen, columns=['rater', 'photo', 'version', 'value'])
    key = dict(study='x', kind='pair', margin=0.1, versions=['truth', 'pale'])
    linear = mean_design(table).estimate(1 - table.value).interval()
    found = analyze_table(key, table)
    c = found.comparisons[0]
    assert linear.high > 1 and c.low < c.value < c.high == 1
    assert 'to 100%' in summary_paragraph(found)


def test_a_plan_is_written_under_the_names_that_old_keys_have(box, tmp_path):
    key = build_study(box / 'truth', dict(pale=box / 'pale'), tmp_path / 'study', min_effect=3.5, power=0.5)
    assert list(key) == ['study', 'kind', 'secret', 'plan', 'margin', 'versions', 'pictures', 'checks']
    assert list(key['plan']) == ['raters', 'power', 'photos', 'versions', 'find', 'wanted', 'spread']
    assert read_key(tmp_path / 'study') == key and key['plan']['find'] == 3.5


def test_the_long_simulation_in_short():
    assert bench['simulations'](1000) <= 0.069


def test_equivalence_is_corrected_for_the_number_of_comparisons():
    "Three tests of equality are three chances of a false `equal`: what is said and printed is Holm's p."
    versions = ['truth', 'a', 'b']
    plan = assign_seats(24, 3, 36, np.random.default_rng(0))
    table = seats_table(plan, trial_variants('rating', versions))
    answers = simulate(table, dict(truth=0, a=0, b=0), np.random.default_rng(3))[:, 0]
    for margin in np.arange(0.3, 0.6, 0.01):  # from a margin where nothing is equal to one where all are
        key = dict(study='x', kind='rating', margin=margin, versions=versions)
        found = analyze_table(key, table.assign(value=answers))
        alone = [c.equivalence_p for c in found.comparisons]
        assert [c.equivalence_p_holm for c in found.comparisons] == holm(alone)
        said = summary_paragraph(found)
        assert said.count('are equal within the margin') == sum(p < 0.05 for p in holm(alone))
        if sum(p < 0.05 for p in alone) > sum(p < 0.05 for p in holm(alone)) > 0:
            break
    else:
        raise AssertionError('no margin at which the correction changes a verdict')
    assert "verdicts follow the p values by Holm's method" in said


def ratings(truth, warm, pale, raters=36):
    "Simulated answers about 24 photos in three versions."
    rng = np.random.default_rng(42)
    effects = dict(truth=truth, warm=warm, pale=pale)
    table = seats_table(assign_seats(24, 3, raters, rng), trial_variants('rating', sorted(effects)))
    return table.assign(value=simulate(table, effects, rng)[:, 0])


def test_every_printed_p_belongs_to_its_t():
    "Who computes p from the t and the degrees of freedom of the paragraph finds the p that stands beside them."
    key = dict(study='x', kind='rating', margin=0.5, versions=['truth', 'warm', 'pale'])
    found = analyze_table(key, ratings(0.5, 0.3, -0.5))
    said = summary_paragraph(found)
    printed = re.findall(r't\(([\d.]+)\) = (-?[\d.]+), p ([=<]) (\.\d+)(?:, by Holm (< )?(\.\d+))?', said)
    assert len(printed) == 3
    for (df, t, sign, p, *_), c in zip(printed, found.comparisons):
        computed = 2 * stats.t.sf(abs(float(t)), float(df))
        assert computed < 0.001 if sign == '<' else abs(computed - float(p)) < 0.0011
        assert format_ps(c.p, c.p_holm) in said
    assert found.comparisons[0].p < found.comparisons[0].p_holm or found.comparisons[2].p < found.comparisons[2].p_holm


def test_the_four_endings_of_a_comparison():
    key = dict(study='x', kind='rating', margin=0.5, versions=['truth', 'warm', 'pale'])
    found = analyze_table(key, ratings(0.5, 0.3, -0.5))
    for p, equivalence_p, words in (
        (0.001, 0.9, 'real photos look more real than warm pictures.'),
        (0.001, 0.01, 'real photos and warm pictures differ, but within the margin of ±0.5'),
        (0.6, 0.01, 'real photos and warm pictures are equal within the margin of ±0.5'),
        (0.6, 0.06, 'The study cannot tell real photos and warm pictures apart'),
    ):
        c = replace(found.comparisons[0], value=0.3, p_holm=p, equivalence_p=0.02, equivalence_p_holm=equivalence_p)
        assert verdict(c, key).startswith(words), words
    assert 'look more real' in verdict(found.comparisons[0], key)
    planned = key | dict(plan=dict(raters=36, power=0.82, find=0.5))
    fewer = analyze_table(planned, ratings(0.5, 0.3, -0.5, raters=8), ['1 rater left out'])
    assert 'cannot tell' in verdict(fewer.comparisons[0], key)
    assert 'smaller than planned' in summary_paragraph(fewer) and 'Of note: 1 rater left out.' in summary_paragraph(
        fewer
    )
    c = analyze_table(key, ratings(0.5, 0.5, -0.5)).comparisons[0]
    assert 'are equal' in verdict(c, key) and c.equivalence_p < c.equivalence_p_holm < 0.05
