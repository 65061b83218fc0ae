"The page that colors in the browser: as in Python, nothing leaves the machine, offline, and one line for no photo."

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import root, sample
from PIL import Image
from test_study import browser, picture_of_page  # noqa: F401

from colorlab import Colorizer, Hint
from colorlab.images import BadInput
from colorlab.metadata import read_provenance

pytest.importorskip('onnxscript', reason='onnxscript is not installed, which the extra onnx brings')
sys.path.insert(0, str(root / 'docs'))
from build_page import build_page  # noqa: E402

PHOTO = sample / 'scenes' / 'gc-monuments-parthenon.jpg'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Stranger(Quiet):
    "Another host, which any page may ask."

    asked = 0

    def do_GET(self):
        Stranger.asked += 1
        self.send_response(200)
        self.send_header('Access-Control-Allow-Origin', '*')
        self.end_headers()


def serve(handler):
    "A server in a thread, and its address."
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f'http://127.0.0.1:{server.server_address[1]}/'


@pytest.fixture(scope='module')
def page(browser, tmp_path_factory):  # noqa: F811
    "The page, ready, and what it asked for."
    folder = tmp_path_factory.mktemp('site')
    try:
        build_page(folder / 'page')
    except BadInput as e:
        pytest.skip(f'the page cannot be built: {e}')
    server, address = serve(partial(Quiet, directory=folder))
    context = browser.new_context(viewport=dict(width=1280, height=800), accept_downloads=True)
    page = context.new_page()
    page.wrong = []
    page.on('pageerror', lambda e: page.wrong.append(str(e)))
    page.on('console', lambda m: page.wrong.append(m.text) if m.type in ('error', 'warning') else None)
    context.on('request', lambda r: page.wrong.append(r.url) if not r.url.startswith((address, 'blob:')) else None)
    page.goto(f'{address}page/index.html')
    page.get_by_text('Works offline.').wait_for()
    yield page
    context.close()
    server.shutdown()


def saved(page, button, folder):
    "The file that a button saves."
    with page.expect_download() as download:
        page.locator(f'{button}:enabled').click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def difference(file, expected):
    "The mean difference of a file from a picture, in steps of 8 bits."
    return np.abs(np.asarray(Image.open(file).convert('RGB')).astype(int) - np.asarray(expected)).mean()


def test_the_page_colors_as_python_does(page, tmp_path):
    page.set_input_files('#files', PHOTO)
    page.locator('#jpeg:enabled').wait_for()
    picture_of_page(page, 'page-colored')
    colorizer = Colorizer.from_pretrained('lite')
    plain = saved(page, '#png', tmp_path)
    assert plain.name == f'{PHOTO.stem}.colored.png' and difference(plain, colorizer(PHOTO)) < 0.5
    width, height = Image.open(PHOTO).size
    box = page.locator('#after').bounding_box()
    page.locator('#after').click(position=dict(x=0.75 * box['width'], y=0.25 * box['height']), force=True)
    page.get_by_role('button', name='brick').click()
    page.locator('#vividness').fill('1.3')
    hinted = saved(page, '#jpeg', tmp_path)
    hint = Hint(0.75 * width, 0.25 * height, '#a0522d')
    assert difference(hinted, colorizer(PHOTO, 1.3, [hint])) < 1 < difference(hinted, colorizer(PHOTO, 1.3))
    for file in (plain, hinted):
        assert read_provenance(file)['model'] == 'lite'
    assert not page.wrong


def test_no_other_host_is_asked(page):
    server, stranger = serve(Stranger)
    ask = f"fetch('{stranger}').then(() => 'sent', () => 'refused')"
    assert page.evaluate(ask) == 'refused' and [w.evaluate(ask) for w in page.workers] == ['refused']
    server.shutdown()
    assert Stranger.asked == 0 and any('Content Security Policy' in line for line in page.wrong)
    page.wrong.clear()


def test_what_is_no_photo_is_one_line(page):
    letter = dict(name='letter.jpg', mimeType='image/jpeg', buffer=b'Dear grandson, ...')
    page.set_input_files('#files', letter)
    line = page.get_by_text('letter.jpg is no photo that this browser can open.')
    line.wait_for()
    page.locator('#jpeg:enabled').wait_for()  # the photo from before is back
    assert line.is_visible()
    assert '\n' not in page.locator('#status').inner_text()
    assert not page.wrong


def test_it_works_offline(page, tmp_path):
    page.context.set_offline(True)
    page.reload()
    page.get_by_text('Ready.').wait_for()
    page.locator('#sample').click()
    page.locator('#jpeg:enabled').wait_for()
    assert Image.open(saved(page, '#jpeg', tmp_path)).size == (640, 492)
    assert not page.wrong
