"""The app as people meet it: in a real browser, by mouse and keyboard; ten visitors at once; bad files; a signal."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote
from zipfile import ZipFile

import numpy as np
import pytest
from conftest import colorlab, sample
from PIL import Image
from test_study import browser, free_port, inside, picture_of_page  # noqa: F401

from colorlab.metadata import read_provenance
from colorlab.photo import encode_deep_png

if not find_spec('gradio'):  # importing it takes three seconds
    pytest.skip('the app needs the extra app', allow_module_level=True)
scenes = sorted(sample.glob('scenes/*.jpg'))


class App:
    "The command `colorlab app` in a process of its own, with its own folder for temporary files."

    def __init__(self, folder, *options):
        self.temporary, self.log = folder / 'tmp', folder / 'log'
        self.temporary.mkdir()
        self.port = free_port()
        self.address = f'http://127.0.0.1:{self.port}/'
        program = [Path(sys.executable).with_name('colorlab'), 'app', '--no-browser', '--port', self.port, *options]
        env = os.environ | dict(TMPDIR=str(self.temporary), OMP_NUM_THREADS='1')
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen([*map(str, program)], env=env, stdout=log, stderr=log)
        while self.address not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def files(self):
        "What lies in its temporary folder, but for empty files that Gradio leaves."
        found = [*self.temporary.glob('colorlab-app-*/**/*'), *self.temporary.glob('gradio/**/*')]
        return [f for f in found if f.is_file() and f.stat().st_size]


@pytest.fixture(scope='module')
def app(tmp_path_factory):
    app = App(tmp_path_factory.mktemp('app'), '--linger', 0.2, '--max-files', 3)
    yield app
    app.process.kill()
    app.process.wait()


@pytest.fixture(scope='module')
def shoebox(tmp_path_factory):
    "A JPEG with metadata, a PNG of 16 bits, and what is no photo."
    folder = tmp_path_factory.mktemp('shoebox')
    exif = Image.Exif()
    exif[0x010E] = 'Grandmother at the lake'
    Image.open(scenes[3]).convert('L').save(folder / 'grandmother & me.jpg', exif=exif)
    gray = np.asarray(Image.open(scenes[8]).convert('L').resize((200, 160))).astype(np.uint16) * 257
    (folder / 'harbor.png').write_bytes(encode_deep_png(np.dstack([gray] * 3)))
    (folder / 'letter.jpg').write_text('Dear all, this is no photo.')
    (folder / 'nothing.jpg').touch()
    Image.new('1', (12_000, 12_000)).save(folder / 'poster.png')
    return folder


def saved(page, button, folder):
    "The file that a button gives, kept in a folder."
    with page.expect_download() as found:
        page.get_by_role('button', name=button).click()
    found.value.save_as(folder / found.value.suggested_filename)
    return folder / found.value.suggested_filename


def open_app(browser, app, width=1280, **options):  # noqa: F811
    "A new visitor's page, and a list of what went wrong there or was asked of other machines."
    page, wrong = browser.new_context(viewport=dict(width=width, height=900), **options).new_page(), []
    page.on('pageerror', lambda e: wrong.append(str(e)))
    page.on('console', lambda m: wrong.append(m.text) if m.type == 'error' else None)
    known = (app.address, f'ws://127.0.0.1:{app.port}', 'data:', 'blob:')
    page.on('request', lambda r: wrong.append(r.url) if not r.url.startswith(known) else None)
    page.goto(app.address)
    page.locator('#drop input[type=file]').wait_for(state='attached')
    return page, wrong


def changed(page, act):
    "Do something, and wait until another colored picture is there."
    before = page.locator('.colored').get_attribute('src')
    act()
    page.wait_for_function('before => document.querySelector(".colored")?.src !== before', arg=before)


def test_a_visit_gives_the_files_of_the_command(browser, app, shoebox, tmp_path):  # noqa: F811
    page, wrong = open_app(browser, app)
    picture_of_page(page, 'app-empty')
    names = ['grandmother & me.jpg', 'letter.jpg', 'nothing.jpg', 'poster.png', 'harbor.png']
    page.locator('#drop input[type=file]').set_input_files([shoebox / name for name in names])
    page.locator('.failed li').nth(2).wait_for()
    page.locator('.strip button').nth(1).wait_for()
    lines = page.locator('.failed li').all_inner_texts()
    assert [line.partition(':')[0] for line in lines] == ['letter.jpg', 'nothing.jpg', 'poster.png']
    assert 'is empty' in lines[1] and '144 megapixels, more than the 100 allowed: make it smaller first' in lines[2]
    assert str(app.temporary) not in page.content()
    # the slider, by keyboard
    page.get_by_label('How much is shown as it was').press('Home')
    assert page.locator('.pair').evaluate('pair => pair.style.getPropertyValue("--cut")') == '0%'
    # a color, by keyboard: the cross begins in the middle
    page.get_by_role('button', name='Say a color').click()
    page.locator('.saying input').fill('#c02020')
    page.locator('.place').focus()
    for _ in range(5):
        page.keyboard.press('ArrowRight')
    changed(page, lambda: page.keyboard.press('Enter'))
    changed(page, lambda: page.locator('.place').click(position=dict(x=30, y=20)))
    assert page.locator('.dot').count() == 2
    changed(page, page.get_by_role('button', name='Undo').click)
    assert page.locator('.dot').count() == 1
    changed(page, lambda: page.get_by_label('Vividness').last.press('ArrowRight'))
    picture_of_page(page, 'app-hint')
    how = ['--vividness', '1.1', '--out', tmp_path / 'wanted']
    colorlab('colorize', shoebox / names[0], '--hint', '153,128,#c02020', *how)
    wanted = tmp_path / 'wanted' / names[0]
    file = saved(page, 'Save this photo', tmp_path)
    assert file.name == 'grandmother & me.colored.jpg'
    assert file.read_bytes() == wanted.read_bytes()
    assert Image.open(file).getexif()[0x010E] == 'Grandmother at the lake' and 'hints' in read_provenance(file)
    # another photo, and one of the ideas about it
    changed(page, page.get_by_role('button', name='harbor.png').click)
    page.get_by_role('button', name='Other ideas').click()
    changed(page, page.get_by_role('button', name='idea 2').click)
    page.get_by_role('button', name='Where is it least sure?').click()
    page.locator('.point').nth(2).wait_for()
    page.get_by_role('button', name='More').click()
    page.get_by_label('how unsure the model is').check()
    page.locator('.veil').wait_for()
    picture_of_page(page, 'app-idea')
    colorlab('colorize', shoebox / 'harbor.png', '--variants', 3, *how)
    with ZipFile(saved(page, 'Save all as ZIP', tmp_path)) as bundle:
        assert bundle.namelist() == [file.name, 'harbor.colored.variant2.png']
        assert bundle.read(file.name) == wanted.read_bytes()
        assert bundle.read('harbor.colored.variant2.png') == (tmp_path / 'wanted' / 'harbor.variant2.png').read_bytes()
    # what is too much, and the end
    page.locator('#drop input[type=file]').set_input_files(scenes[:2])
    page.locator('.failed li', has_text='a visit takes 3 photos').wait_for()
    assert wrong == [] and app.files()
    page.context.close()
    until = time.monotonic() + 10
    while app.files() and time.monotonic() < until:
        time.sleep(0.05)
    assert app.files() == []


def test_on_a_phone_in_the_dark(browser, app):  # noqa: F811
    page, wrong = open_app(browser, app, 390, has_touch=True, color_scheme='dark')
    page.locator('#drop input[type=file]').set_input_files([scenes[0], scenes[9]])
    page.locator('.strip button').nth(1).wait_for()
    page.get_by_role('button', name='Say a color').tap()
    changed(page, lambda: page.locator('.place').tap(position=dict(x=60, y=60)))
    page.get_by_role('button', name='Other ideas').tap()
    page.locator('.ideas button').nth(1).wait_for()
    assert page.evaluate('document.documentElement.scrollWidth') <= 390 and inside(page, '.pair')
    background = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert sum(map(int, re.findall(r'\d+', background)[:3])) < 150, background
    assert min(button.bounding_box()['height'] for button in page.locator('.tools button').all()) >= 40
    picture_of_page(page, 'app-phone')
    page.context.close()
    assert wrong == []


def test_ten_visitors_at_once_and_a_signal(app, tmp_path):
    from gradio_client import Client, handle_file

    def visit(i):
        "Bring a photo, and take it home: what the page shows, and the file."
        client = Client(app.address, verbose=False, analytics_enabled=False, download_files=False)
        stage = client.predict([handle_file(scenes[i])], api_name='/take_photos')
        _, link = client.predict(api_name='/save_one')
        return stage, Path(unquote(link).partition('file=')[2]).read_bytes()

    with ThreadPoolExecutor(10) as pool:
        visits = list(pool.map(visit, range(10)))
    colorlab('colorize', *scenes[:10], '--out', tmp_path)
    for i, (stage, file) in enumerate(visits):
        assert [j for j in range(10) if scenes[j].name in stage] == [i]
        assert file == (tmp_path / scenes[i].name).read_bytes()
    visit(0)
    assert len(app.files()) >= 2  # of this visit; those of earlier ones are perhaps deleted by now
    if sys.platform == 'linux':
        assert 'libtorch' not in Path(f'/proc/{app.process.pid}/maps').read_text()
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(10) == 128 + signal.SIGTERM
    assert [*app.temporary.glob('colorlab-*')] == app.files() == []
    assert app.log.read_text() == f'the page is at {app.address} (Ctrl-C ends it)\n'  # nothing about photos
