"Listings and what is remembered about photos: the second time, several processes, damage, weights."

import os
import sqlite3

import pandas as pd
import pytest
from conftest import warm

import colorlab.data as data
from colorlab.cache import RecordStore
from colorlab.data import Manifest, make_manifest, scan
from colorlab.images import BadInput, photo_files


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
