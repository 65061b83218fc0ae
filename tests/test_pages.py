"Pages of colorize, evaluate, compare and demo in a real browser: names of files and models execute nothing."

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from conftest import colorlab, sample
from PIL import Image
from test_study import browser, picture_of_page  # noqa: F401

from colorlab.images import jpeg_data_uri, write_page

HOSTILE = ('<img src=x onerror=hit=1>', '"><svg onload=hit=1>', "' onmouseover=hit=1 x='", '"><script>hit=1<script>')
PICTURE = jpeg_data_uri(Image.new('RGB', (8, 8)))


def check_harmless(browser, file, shown):  # noqa: F811
    "Open a page; nothing of the names has become an element or a script, and they are shown as they are."
    tab, alerts = browser.new_page(), []
    tab.on('dialog', lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    tab.goto(file.as_uri())
    tab.wait_for_timeout(200)
    assert tab.evaluate('typeof hit') == 'undefined' and not alerts
    assert tab.evaluate("document.querySelectorAll('[onerror], [onload], [onmouseover]').length") == 0
    text = tab.content() + tab.evaluate("[...document.images].map(i => i.alt).join('\\n')") + tab.inner_text('body')
    for name in shown:
        assert name in text, name
    tab.close()


def test_this_check_finds_what_executes(browser, tmp_path):  # noqa: F811
    for name in HOSTILE[:2]:
        (tmp_path / 'bad.html').write_text(f'<!doctype html><p title="{name}">{name}')
        with pytest.raises(AssertionError):
            check_harmless(browser, tmp_path / 'bad.html', [])


def test_evaluate(browser, tmp_path):  # noqa: F811
    truth, stranger = tmp_path / 'truth', tmp_path / HOSTILE[0]
    for folder in (truth, stranger):
        folder.mkdir()
    sources = sorted(sample.glob('scenes/*.jpg'))
    for name, source in zip(HOSTILE, sources):
        img = Image.open(source).resize((64, 48))
        img.save(truth / f'{name}.jpg')
        img.convert('L').save(stranger / f'{name}.jpg')
    for i, source in enumerate(sources[4:8]):
        Image.open(source).resize((64, 48)).save(truth / f'train{i}.jpg')
    files = [file.name for file in sorted(truth.iterdir())]
    splits = ['train' if name.startswith('train') else 'test' for name in files]
    pd.DataFrame(dict(file=files, split=splits)).to_csv(truth / 'manifest.csv', index=False)
    how = ['--size', 32, '--no-perceptual', '--vividness', 'accurate', '--out', tmp_path / 'out']
    colorlab('evaluate', stranger, '--data', truth, *how)
    check_harmless(browser, tmp_path / 'out' / 'report.html', [HOSTILE[0], *(f'{name}.jpg, truth' for name in HOSTILE)])


def test_compare(browser, tmp_path):  # noqa: F811
    table = pd.DataFrame({HOSTILE[2]: [HOSTILE[1]]}, index=[HOSTILE[0]])
    about = dict(data=HOSTILE[0], size=32, budget=HOSTILE[1], narrow=1)
    words = {HOSTILE[0]: [HOSTILE[3], HOSTILE[1]]}
    values = dict(tables={HOSTILE[0]: table}, n={HOSTILE[0]: 4}, conclusions={HOSTILE[0]: words})
    values |= dict(pictures={HOSTILE[0]: {HOSTILE[1]: PICTURE}}, curves={HOSTILE[0]: {}})
    effort = pd.DataFrame({'minutes': [1.0]}, index=[HOSTILE[3]])
    page = write_page('compare.html', tmp_path / 'page.html', about=about, seeds=[1], effort=effort, **values)
    check_harmless(browser, page, HOSTILE)


def test_demo(browser, tmp_path):  # noqa: F811
    pictures = dict(gray=PICTURE, colored=PICTURE, truth=PICTURE)
    places = ('random', HOSTILE[0], 'random', 'worst')
    photos = [dict(name=name, credit=name, place=place, psnr=20.0, **pictures) for name, place in zip(HOSTILE, places)]
    methods = ['this network', 'mean-ab', 'gray', 'random-ab', 'truth']
    values = dict(means=pd.DataFrame(1.0, index=methods, columns=['psnr', 'ab_rmse', 'colorfulness']))
    gain = SimpleNamespace(mean=1.0, low=0.5, high=1.5)
    values |= dict(psnr_gain=gain, ab_gain=gain, beats_gray=0.5, ab_ratio=0.9, color_share=0.5, n=4)
    values |= dict(
        trained=False, counts=dict(train=1, val=1, test=4), model=HOSTILE[0], machine=HOSTILE[1], version='1'
    )
    plan = SimpleNamespace(minutes=1.0, seconds=60.0, epochs=1)
    page = write_page('demo.html', tmp_path / 'page.html', photos=photos, plan=plan, **values)
    check_harmless(browser, page, HOSTILE)


@pytest.mark.parametrize(('width', 'scheme'), [(1280, 'dark'), (390, 'light')])
def test_before_and_after(browser, tmp_path, width, scheme):  # noqa: F811
    "Opened from disk: names execute nothing and their links lead to the files; keys and a finger move the slider."
    box = tmp_path / 'box'
    box.mkdir()
    for i, name in enumerate(HOSTILE):
        Image.new('RGB', (320 + 80 * i, 240), 'gray').save(box / f'{name.replace("/", "")} #?%.jpg')
    Image.new('L', (60, 200), 90).save(box / 'tall.png')
    (box / f'{HOSTILE[0]}.png').write_text('Dear photo')
    done = colorlab('colorize', box, '--page', check=False)
    page = tmp_path / 'box.colored' / 'before-after.html'
    assert done.returncode == 1 and page.exists(), done.stderr
    check_harmless(browser, page, HOSTILE)
    tab = browser.new_page(viewport=dict(width=width, height=800), color_scheme=scheme, has_touch=True)
    tab.goto(page.as_uri())
    assert tab.evaluate('document.documentElement.scrollWidth') <= width
    dark = tab.evaluate('getComputedStyle(document.body).backgroundColor') == 'rgb(22, 25, 27)'
    assert dark == (scheme == 'dark')
    links = tab.eval_on_selector_all('figcaption a', 'all => all.map(a => decodeURIComponent(a.href))')
    assert len(links) == 10 and all(Path(link.removeprefix('file://')).is_file() for link in links)
    cut = "document.querySelector('.pair').style.getPropertyValue('--cut')"
    tab.keyboard.press('Tab')
    tab.keyboard.press('ArrowRight')
    assert tab.evaluate(cut) == '51%'
    area = tab.locator('.pair').first.bounding_box()
    assert area['x'] + area['width'] <= width and area['height'] <= 800
    tab.touchscreen.tap(area['x'] + 0.2 * area['width'], area['y'] + area['height'] / 2)
    assert abs(float(tab.evaluate(cut).rstrip('%')) - 20) < 4
    picture_of_page(tab, f'before-after-{width}')
    tab.close()
