"Where photos are found, how they are split, and what is remembered about them."

import hashlib
import os
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from conftest import warm
from PIL import Image

import colorlab.data as data
import colorlab.datasets as datasets
from colorlab.cache import RecordStore, cache_photos
from colorlab.data import Manifest, make_manifest, scan
from colorlab.datasets import absolute_source, dataset_folder, find_dataset
from colorlab.images import BadInput, old_photos_folder, photo_files
from colorlab.splits import split_counts, split_groups


@pytest.fixture
def old_photos(photos, tmp_path, monkeypatch):
    "Photos that were not changed a moment ago, and an empty cache."
    monkeypatch.setenv('COLORLAB_CACHE', str(tmp_path / 'cache'))
    for file in photos.rglob('*.jpg'):
        os.utime(file, (1e9, 1e9))
    return photos


@pytest.fixture
def looks(monkeypatch):
    "The files that are looked at, as they are."
    seen = []
    inspect = data.inspect_photo

    def noted(folder, file):
        seen.append(file)
        return inspect(folder, file)

    monkeypatch.setattr(data, 'inspect_photo', noted)
    return seen


def tables(tmp_path):
    return sorted((tmp_path / 'cache').rglob('*.sqlite'))


def test_a_second_listing_looks_at_nothing(old_photos, looks):
    first = make_manifest(old_photos)
    assert sorted(looks) == photo_files(old_photos)
    looks.clear()
    pd.testing.assert_frame_equal(make_manifest(old_photos).table, first.table)
    assert looks == []
    pd.testing.assert_frame_equal(scan(old_photos, remember=False), scan(old_photos))


def test_what_changed_is_looked_at_again(old_photos, looks):
    table = scan(old_photos)
    looks.clear()
    one, two, three, gone = table.file[:4]
    os.utime(old_photos / one, ns=(10**18, 10**18 + 1))  # a nanosecond more
    (old_photos / two).write_bytes((old_photos / two).read_bytes() + b'\0')
    os.utime(old_photos / two, (1e9, 1e9))  # the same time, another size
    (old_photos / three).write_text('no photo')  # just now
    (old_photos / gone).unlink()
    again = scan(old_photos).set_index('file')
    assert sorted(looks) == sorted([one, two, three])
    assert again.verdict[three].startswith('broken') and gone not in again.index
    looks.clear()
    scan(old_photos)
    assert looks == [three]  # what was changed a moment ago is not relied on


def test_part_of_a_folder_does_not_make_the_rest_forgotten(old_photos, looks):
    files = list(scan(old_photos).file)
    looks.clear()
    assert list(scan(old_photos, files[3:5] + files[3:4]).file) == files[3:5] + files[3:4]
    scan(old_photos)
    assert looks == []


@pytest.mark.parametrize('damage', ['noise', 'half', 'holes', 'empty'])
def test_a_damaged_table_is_made_anew(old_photos, looks, tmp_path, damage):
    first = scan(old_photos)
    looks.clear()
    (path,) = tables(tmp_path)
    whole = path.read_bytes()
    broken = {
        'noise': b'this is no table ' * 999,
        'half': whole[: len(whole) // 2],
        'holes': whole[:100] + b'\xff' * (len(whole) - 100),
        'empty': b'',
    }
    path.write_bytes(broken[damage])
    pd.testing.assert_frame_equal(scan(old_photos), first)
    assert sorted(looks) == list(first.file)
    looks.clear()
    scan(old_photos)
    assert looks == [] and sqlite3.connect(path).execute('select count(*) from photos').fetchone() == (24,)


def test_where_nothing_can_be_kept_photos_are_looked_at_all_the_same(old_photos, looks, tmp_path):
    first = scan(old_photos)
    (path,) = tables(tmp_path)
    path.unlink()
    path.mkdir()  # no table can be made here
    pd.testing.assert_frame_equal(scan(old_photos), first)
    store = RecordStore(old_photos, data.SCAN_COLUMNS, data.inspect_photo)
    with pytest.raises(BadInput, match='cannot be used'):
        store.update(list(first.file))


def scan_many(folder, cache, barrier, times):
    os.environ['COLORLAB_CACHE'] = str(cache)
    barrier.wait()
    for i in range(times):
        if i == 1:
            for path in cache.rglob('*.sqlite'):
                path.write_bytes(b'damage' * 500)
        assert len(scan(folder)) == 24


def test_several_processes_at_once(old_photos, tmp_path):
    barrier = warm.Barrier(4)
    args = old_photos, tmp_path / 'cache', barrier, 4
    processes = [warm.Process(target=scan_many, args=args) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(scan(old_photos)) == 24


def write_listing(folder, weights, name='list.csv'):
    files = photo_files(folder)
    splits = ['train'] * 16 + ['val'] * 8
    table = pd.DataFrame(dict(file=files, split=splits, weight=weights))
    table.to_csv(folder / name, index=False)
    return folder / name


ALL_ZERO = [0] * 24
ZERO_TO_TRAIN = [0] * 16 + [1] * 8
ZERO_TO_VALIDATE = [1] + [0] * 23


@pytest.mark.parametrize('weights', [ALL_ZERO, ZERO_TO_TRAIN])
def test_weights_that_leave_nothing_to_draw_are_an_error(photos, weights):
    listing = write_listing(photos, weights)
    with pytest.raises(BadInput, match='list.csv: the weights of its training photos are all 0') as error:
        make_manifest(photos, listing=listing)
    assert '\n' not in str(error.value)
    write_listing(photos, weights, 'manifest.csv')  # the folder's own
    with pytest.raises(BadInput, match='photos: the weights'):
        make_manifest(photos)


def test_weights_are_checked_after_splitting(photos):
    "Only photos that get another side have a weight."
    side = make_manifest(photos).table.set_index('file').split
    table = pd.DataFrame(dict(file=side.index, weight=(side != 'train').astype(int).to_numpy()))
    table.to_csv(photos / 'list.csv', index=False)
    with pytest.raises(BadInput, match='all 0'):
        make_manifest(photos, listing=photos / 'list.csv')


def test_weights_of_a_saved_manifest_are_checked(photos):
    manifest = make_manifest(photos, listing=write_listing(photos, ZERO_TO_VALIDATE))
    assert manifest.table.weight.tolist() == ZERO_TO_VALIDATE
    manifest.save(photos / 'whole.csv')
    assert make_manifest(photos, listing=photos / 'whole.csv').table.weight.tolist() == ZERO_TO_VALIDATE
    Manifest(photos, manifest.table.assign(weight=0)).save(photos / 'whole.csv')
    with pytest.raises(BadInput, match='all 0'):
        make_manifest(photos, listing=photos / 'whole.csv')


@pytest.mark.parametrize('weight', ['often', -1, 'inf', ''])
def test_weights_must_be_numbers(photos, weight):
    listing = write_listing(photos, [weight] + [1] * 23)
    with pytest.raises(BadInput, match='must be numbers'):
        make_manifest(photos, listing=listing)


def blank(path, color=(200, 30, 30)):
    "A tiny photo with color, each file another one; without color it is gray."
    path.parent.mkdir(parents=True, exist_ok=True)
    img = Image.effect_noise((16, 16), 40 + len(path.name)).convert('RGB')
    img.putpixel((0, 0), tuple(hashlib.sha256(path.name.encode()).digest()[:3]) if color else (9, 9, 9))
    if color:
        img.paste(color, (0, 4, 16, 8))
        img.paste(color[::-1], (0, 8, 16, 12))
    img.save(path)


@pytest.fixture
def many(tmp_path):
    "Sixty tiny photos called as in COCO; every tenth is gray, and one is broken."
    for i in range(60):
        blank(tmp_path / 'many' / f'{i:012}.jpg', None if i % 10 == 7 else (200, 30, 30))
    (tmp_path / 'many' / f'{3:012}.jpg').write_text('no photo')
    return tmp_path / 'many'


def sides(manifest):
    return {side: set(manifest.table.file[manifest.table.split == side]) for side in ('train', 'val', 'test')}


def test_only_photos_that_are_used_are_opened(many, looks):
    manifest = make_manifest(f'coco-sample:{many}', train=20, val=5)
    assert {side: len(files) for side, files in sides(manifest).items()} == dict(train=20, val=5, test=5)
    bad = (manifest.table.verdict != 'ok').sum()
    assert len(looks) == len(manifest.table) == 30 + bad < 60  # a gray one is replaced, and stands in the table
    assert (manifest.table.split[manifest.table.verdict != 'ok'] == 'left out').all()


def test_more_to_train_on_and_the_same_to_judge_by(many):
    few, more = (sides(make_manifest(f'coco-sample:{many}', train=n, val=5, test=4)) for n in (10, 30))
    assert few['val'] == more['val'] and few['test'] == more['test'] and few['train'] < more['train']
    assert len(few['test']) == 4
    others = sides(make_manifest(f'coco-sample:{many}', train=10, val=5, test=4, seed=1))
    assert others['test'] != few['test']
    everything = sides(make_manifest(f'coco-sample:{many}', train=1.0, val=5, test=4))
    assert everything['test'] == few['test'] and len(everything['train']) == 60 - 7 - 9


def test_more_photos_than_there_are_is_an_error_before_any_is_opened(many, looks):
    with pytest.raises(BadInput, match='60 photos cannot give 100 to train'):
        make_manifest(f'coco-sample:{many}', train=100, val=5)
    assert looks == []
    with pytest.raises(BadInput, match='53 photos cannot give 50 to train'):  # 7 have no color
        make_manifest(f'coco-sample:{many}', train=50, val=5)


def test_cars_obey_the_count_and_stay_together(tmp_path):
    for car in range(30):
        for view in 'abc'[: 1 + car % 3]:
            blank(tmp_path / f'Audi_A{car}_2019_{view}x.jpg')
    manifest = make_manifest(f'cars:{tmp_path}', train=20, val=6)
    assert {side: len(files) for side, files in sides(manifest).items()} == dict(train=20, val=6, test=6)
    used = manifest.table[manifest.table.split != 'unused']
    assert used.groupby('group').split.nunique().max() == 1 and len(manifest.table) < 40


def test_every_fruit_is_on_every_side(tmp_path):
    classes = ['Apple', 'Banana', 'Plum', *(f'Fruit {i}' for i in range(17))]
    for kind in classes:
        for i in range(10):
            blank(tmp_path / 'ncd' / kind / f'{kind}{i}.jpg')
            blank(tmp_path / 'ncd' / 'Gray' / kind / f'{kind}{i}.jpg', None)
    manifest = make_manifest(f'ncd:{tmp_path / "ncd"}')
    assert pd.crosstab(manifest.table.label, manifest.table.split).to_dict('list') == dict(
        test=[1] * 20, train=[8] * 20, val=[1] * 20
    )


@pytest.mark.parametrize('n, found', [(2, (1, 1, 0)), (3, (1, 1, 1)), (10, (8, 1, 1))])
def test_small_folders(tmp_path, n, found):
    for i in range(n):
        blank(tmp_path / f'{"x" * (i + 1)}.png')
    assert tuple(len(files) for files in sides(make_manifest(tmp_path)).values()) == found


def test_a_folder_that_names_its_sides_is_taken_as_it_is(photos):
    write_listing(photos, [1] * 24, 'manifest.csv')
    manifest = make_manifest(photos, train=2, val=2)
    assert [len(files) for files in sides(manifest).values()] == [16, 8, 0]


def test_nothing_is_written_where_the_photos_lie(old_photos, looks, tmp_path):
    "Kaggle's input cannot be written to; what was found lies elsewhere, and nothing is opened twice."

    def state():
        return sorted((path.as_posix(), path.stat().st_mtime_ns) for path in old_photos.rglob('*'))

    for folder in (old_photos, *old_photos.iterdir()):
        folder.chmod(0o555)
    before = state()
    manifest = make_manifest(old_photos)
    cache_photos(old_photos, manifest.subset('train'), 32)
    looks.clear()
    make_manifest(old_photos)
    for folder in (old_photos, *old_photos.iterdir()):
        folder.chmod(0o755)
    assert looks == [] and state() == before and tables(tmp_path)


@pytest.fixture
def roots(tmp_path, monkeypatch):
    "Where Kaggle, Drive and a laptop keep their photos."
    found = [tmp_path / name for name in ('kaggle', 'drive', 'here')]
    for folder in found:
        folder.mkdir()
    monkeypatch.setattr(datasets, 'SEARCH_ROOTS', tuple(map(str, found)))
    return found


def test_a_set_is_found_on_kaggle_and_said_once(roots, capsys):
    for i in range(5):
        blank(roots[0] / 'datasets/owner/cars/deep' / f'Audi_A4_2019_{i}_x.jpg')
        blank(roots[1] / 'my cars' / f'Audi_A4_2019_{i}_x.jpg')
    found = find_dataset('cars')
    assert found.folder == (roots[0] / 'datasets/owner/cars/deep').resolve() and len(found.listing) == 5
    assert find_dataset('cars').folder == found.folder == dataset_folder('cars')
    assert capsys.readouterr().out.count(f'cars: taken from {found.folder}') == 1
    assert absolute_source('cars') == f'cars:{found.folder}'
    shutil.rmtree(roots[0])
    assert find_dataset('cars').folder == (roots[1] / 'my cars').resolve()


def test_a_missing_set_is_one_line_and_found_as_soon_as_it_is_there(roots):
    with pytest.raises(BadInput, match='on Kaggle: Add Input, search "Flickr1024"; on Colab: .* Drive') as error:
        find_dataset('flickr1024')
    assert '\n' not in str(error.value) and 'flickr1024:FOLDER' in str(error.value)
    assert absolute_source('flickr1024') == 'flickr1024'
    for side in ('Train', 'Test', 'Validation'):
        for eye in 'LR':
            blank(roots[2] / 'data' / 'Flickr' / side / f'0001_{eye}.png')
    found = find_dataset('flickr1024')
    assert found.folder.name == 'Flickr' and set(found.listing.split) == {'train', 'val', 'test'}


def test_coco_is_looked_for_before_it_is_downloaded(roots, monkeypatch, tmp_path):
    import fastai.data.external as external

    def refuse(url):
        raise OSError('no network')

    monkeypatch.setattr(external, 'untar_data', refuse)
    monkeypatch.setattr(external.URLs, 'path', lambda *args: tmp_path / 'fastai' / 'coco_sample.tgz')
    with pytest.raises(BadInput, match='cannot be downloaded .no network.; on Kaggle'):
        find_dataset('coco-sample')
    blank(roots[0] / 'coco-2017' / 'train2017' / f'{7:012}.jpg')
    assert find_dataset('coco-sample').folder.name == 'train2017'
    blank(tmp_path / 'fastai' / 'coco_sample' / 'train_sample' / f'{7:012}.jpg')
    assert find_dataset('coco-sample').folder.name == 'train_sample'  # what fastai has downloaded comes first


def test_a_large_drive_is_not_walked_to_its_end(roots):
    for i in range(300):
        (roots[1] / f'{i:03}').mkdir()
    looked_into = [folder for folder, _ in datasets.folders_below(roots[1])]
    assert len(looked_into) == 200


def test_old_photographs_have_sources():
    about = pd.read_csv(old_photos_folder() / 'ATTRIBUTION.csv')
    assert sorted(about.file) == photo_files(old_photos_folder())
    assert len(about) == 12 and about.bytes.sum() < 2e6
    assert about.licence.str.match('CC0|PD').all() and about.source_url.str.startswith('http').all()


@pytest.mark.parametrize(
    'wanted, sizes',
    [
        ((4,), (1, 1, 2)),
        ((5,), (1, 1, 3)),
        ((13,), (1, 2, 10)),
        ((24,), (2, 3, 19)),
        ((200, 0.8, 40), (40, 40, 120)),  # a share gives way
        ((200, 100, 100), (0, 100, 100)),  # nothing is left to test with
        ((200, 100, 10, 0), (0, 10, 100)),
    ],
)
def test_sizes_of_the_sides(wanted, sizes):
    assert tuple(split_counts(*wanted).values()) == sizes


@pytest.mark.parametrize('wanted', [(1,), (200, 190, 20), (200, 100, 50, 51), (200, 200)])
def test_sizes_that_cannot_be(wanted):
    with pytest.raises(BadInput, match='photos cannot give'):
        split_counts(*wanted)


def test_few_groups_and_large_ones():
    assert set(split_groups(['a', 'b'], 0.5)) == {'train', 'val'}
    assert sorted(split_groups(['a', 'b', 'c'])) == ['test', 'train', 'val']
    for n in (2, 3, 5):
        large = np.repeat(np.arange(n), 10)
        split = pd.Series(split_groups(large)).groupby(large).unique()
        assert split.str.len().max() == 1 and split.str[0].nunique() == min(n, 3)
    with pytest.raises(BadInput):
        split_groups(['a'])
    with pytest.raises(BadInput, match='no group is small enough'):
        split_groups(['a', 'a', 'b'], 1, 1)


def test_labels_and_the_seed():
    fruit = np.repeat(['apple', 'lemon', 'plum'], [50, 30, 20])
    files = [f'{label}/{i}.jpg' for i, label in enumerate(fruit)]
    shares = pd.crosstab(fruit, split_groups(files, labels=fruit))
    assert shares.test.tolist() == shares.val.tolist() == [5, 3, 2]
    pairs = [f'pair{i // 2}' for i in range(200)]
    assert (split_groups(pairs, seed=1) != split_groups(pairs)).any()


@pytest.mark.parametrize('text, why', [('file,split\n"torn', 'not a readable'), ('name\nx', 'lists no photos')])
def test_a_list_that_is_none(photos, text, why):
    (photos / 'a.csv').write_text(text)
    with pytest.raises(BadInput, match=why):
        make_manifest(photos, listing=photos / 'a.csv')
    with pytest.raises(BadInput, match='no such listing'):
        make_manifest(photos, listing=photos / 'd.csv')
    with pytest.raises(BadInput, match='"unused"'):
        make_manifest(photos).subset('unused')


def test_nothing_with_color(tmp_path):
    blank(tmp_path / 'gray' / 'g.png', None)
    with pytest.raises(BadInput, match='none of its 1'):
        make_manifest(tmp_path / 'gray')
