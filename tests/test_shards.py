"""Photos in tar files: the batches, losses and weights of the same photos in a folder, also after a kill."""

import io
import shutil
import signal
import tarfile

import fsspec
import pandas as pd
import pytest
import torch
from conftest import Running, colorlab
from safetensors.torch import load_file

from colorlab.cache import StreamedPhotos, cache_folder
from colorlab.data import Manifest, make_manifest
from colorlab.datasets import DATASETS, absolute_source
from colorlab.images import BadInput, open_photo, photo_files
from colorlab.loaders import photo_loaders
from colorlab.shards import expand_braces, photo_bytes, read_ahead, shard_index
from colorlab.training import train

ARGS = ['--train', 12, '--val', 4, '--size', 32, '--epochs', 4, '--bs', 4, '--seed', 3, '--device', 'cpu']


def pack(photos, folder, n=3):
    "The photos of a folder in `n` shards as WebDataset has them, out of order, each with a label beside it."
    folder.mkdir()
    files = photo_files(photos)
    for k in range(n):
        with tarfile.open(folder / f'photos-{k:06}.tar', 'w') as tar:
            for file in reversed(files[k::n]):
                tar.add(photos / file, f'./{file}')
                tar.addfile(tarfile.TarInfo(f'./{file.rpartition(".")[0]}.cls'), io.BytesIO())
    return folder


@pytest.fixture
def shards(photos, tmp_path):
    return pack(photos, tmp_path / 'shards')


def batches(photos, rank=0, processes=1):
    "Of two epochs, and of validation."
    dls = photo_loaders(photos, size=32, bs=4)
    dls.train.take_part(rank, processes)
    return [x.clone() for dl in (dls.train, dls.train, dls.valid) for batch in dl for x in batch]


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


def test_a_folder_shards_and_a_bucket_give_the_same_batches(photos, shards, tmp_path):
    "However they are packed. No decoded photo is written, and the manifest alone says where each one lies."
    expected = batches(photos)
    there = {*cache_folder().glob('*.npy')}
    bucket = fsspec.filesystem('memory')
    for file in shards.iterdir():
        bucket.pipe_file(f'/box/{file.name}', file.read_bytes())
    for data in (shards, f'{shards}/photos-{{000000..000002}}.tar', 'memory://box', pack(photos, tmp_path / 'two', 2)):
        assert same(batches(data), expected), data
    assert {*cache_folder().glob('*.npy')} == there
    made = make_manifest(shards)
    made.save(tmp_path / 'manifest.csv')
    loaded = Manifest.load(tmp_path / 'manifest.csv', shards)
    assert same(batches(loaded), expected) and isinstance(photo_loaders(loaded).train.dataset.photos, StreamedPhotos)
    assert made.table.file[0] == 'photos-000000.tar/b/' + sorted(photo_files(photos))[0].rpartition('/')[2]
    file = photo_files(photos)[0]
    assert open_photo(shards / 'photos-000000.tar' / file).tobytes() == open_photo(photos / file).tobytes()


def test_each_process_reads_its_own_part(shards, monkeypatch):
    "Two of them together the whole batch, in an epoch no photo twice."
    manifest = make_manifest(shards)
    dl = photo_loaders(manifest, size=32, bs=4).train
    whole = [x.clone() for x, _ in dl]
    read = []
    local = type(fsspec.filesystem('file'))
    cat = local.cat_file

    def cat_file(self, path, start=None, end=None, **kwargs):
        read[-1].append((path, start, end))
        return cat(self, path, start, end, **kwargs)

    monkeypatch.setattr(local, 'cat_file', cat_file)
    parts = []
    for rank in (0, 1):
        read.append([])
        dl = photo_loaders(manifest, size=32, bs=4).train
        dl.take_part(rank, 2)
        parts.append([x.clone() for x, _ in dl])
    assert all(torch.equal(torch.stack([a, b], 1).flatten(0, 1), x) for a, b, x in zip(*parts, whole))
    assert not {*read[0]} & {*read[1]} and len({*read[0]}) == len(read[0]) == len(read[1]) == dl.n / 2


def test_killed_in_the_middle_it_ends_in_the_weights_of_the_folder(photos, shards, tmp_path):
    colorlab('train', '--data', photos, '--out', tmp_path / 'folder', *ARGS)
    training = Running('train', '--data', shards, '--out', tmp_path / 'cut', *ARGS)
    training.wait_for(training.output)  # it says that an epoch is done
    training.end(signal.SIGKILL)
    (tmp_path / 'moved').mkdir()
    shutil.move(shards / 'photos-000001.tar', tmp_path / 'moved')
    resume = ['train', '--out', tmp_path / 'cut', '--resume', '--device', 'cpu']
    done = colorlab(*resume, check=False)
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert 'shards/photos-000001.tar: there is no such shard; bring it back' in done.stderr
    shutil.move(tmp_path / 'moved' / 'photos-000001.tar', shards)
    colorlab(*resume)
    a, b = (load_file(tmp_path / name / 'model.safetensors') for name in ('folder', 'cut'))
    assert all(torch.equal(a[key], b[key]) for key in a)
    a, b = (pd.read_csv(tmp_path / name / 'history.csv').drop(columns='seconds') for name in ('folder', 'cut'))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_bad_members_are_a_line_each_and_cost_no_other(shards, tmp_path, capsys):
    good = [*make_manifest(shards).table.file]
    first = next(iter(shard_index(str(shards / 'photos-000000.tar')).spans))
    photo = photo_bytes(shards / 'photos-000000.tar' / first)
    with tarfile.open(shards / 'evil.tar', 'w') as tar:

        def add(name, data=photo, **about):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in about.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))

        for name in ('../up.jpg', '/root.jpg', 'a/../../b.jpg'):
            add(name)
        add('link.jpg', b'', type=tarfile.SYMTYPE, linkname='/etc/passwd')
        add('hard.jpg', b'', type=tarfile.LNKTYPE, linkname='x.jpg')
        add('device.jpg', b'', type=tarfile.CHRTYPE)
        add('.hidden.jpg')
        add('note.txt', b'hello')
        add('text.jpg', b'no photo at all')
        add('torn.jpg', photo[: len(photo) // 3])
        add('empty.jpg', b'')
        add('fine.jpg')
        add('fine.jpg')
    (shards / 'noise.tar').write_bytes(b'noise' * 1000)
    (shards / 'empty.tar').write_bytes(b'')
    whole = (shards / 'photos-000002.tar').read_bytes()
    (shards / 'cut.tar').write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    made = make_manifest(shards)
    said = [line.removeprefix(f'passed over: {shards}/') for line in capsys.readouterr().out.splitlines()]
    for name, words in {
        'evil.tar/../up.jpg': 'leads out of the shard',
        'evil.tar//root.jpg': 'leads out of the shard',
        'evil.tar/a/../../b.jpg': 'leads out of the shard',
        'evil.tar/link.jpg': 'a link or a device',
        'evil.tar/hard.jpg': 'a link or a device',
        'evil.tar/device.jpg': 'a link or a device',
        'evil.tar/fine.jpg': 'another file of the shard has its name',
        'noise.tar': 'is no whole tar file',
        'empty.tar': 'is no whole tar file',
        'cut.tar/': 'is cut off',
    }.items():
        assert sum(line.startswith(name) and words in line for line in said) == 1, (name, said)
    assert len(said) == 10
    table = made.table.set_index('file')
    assert table.verdict['evil.tar/fine.jpg'] == 'ok'
    for name in ('text', 'torn', 'empty'):
        assert table.verdict[f'evil.tar/{name}.jpg'].startswith('broken: ')
    assert (table.verdict[good] == 'ok').all()
    assert 'evil.tar/text.jpg (broken)' in made.exclusions() or '…' in made.exclusions()


def test_a_damaged_header_is_said_and_what_stands_before_is_kept(shards, tmp_path, capsys):
    "Python's tarfile takes it for the end."
    file = shards / 'photos-000001.tar'
    spans = shard_index(str(file)).spans
    data = bytearray(file.read_bytes())
    third = next(i for i, name in enumerate(spans) if i > 1 and name.isascii() and name.endswith('.cls'))
    header = [*spans.values()][third].offset - 512
    data[header : header + 12] = b'\xff' * 12
    file.write_bytes(data)
    index = shard_index(str(file))
    assert [*index.spans] == [*spans][:third] and 'a damaged header' in index.refused['']
    make_manifest(shards)
    assert capsys.readouterr().out.count('photos-000001.tar: is no whole tar file') == 1


def test_a_shard_that_has_changed_is_one_line(shards, tmp_path):
    manifest = make_manifest(shards)
    file = shards / 'photos-000000.tar'
    file.write_bytes(file.read_bytes()[512:])
    with pytest.raises(BadInput, match='has changed since the manifest was made; make a new manifest'):
        batches(manifest)


def test_what_is_no_shard(photos, shards, tmp_path):
    "A tar file beside photos is passed over, a folder may be called .tar, and errors say what is missing."
    shutil.copy(shards / 'photos-000000.tar', photos)
    assert 'offset' not in make_manifest(photos).table
    shutil.copytree(photos, tmp_path / 'box.tar')
    assert len(make_manifest(tmp_path / 'box.tar').table) == 24
    with pytest.raises(BadInput, match='photos-000003.tar: there is no such shard'):
        make_manifest(f'{shards}/photos-{{000000..000003}}.tar')
    for address in ('nothing://x/y.tar', 'nothing://x'):
        with pytest.raises(BadInput, match='cannot be opened'):
            make_manifest(address)
    with tarfile.open(tmp_path / 'text.tar', 'w') as tar:
        tar.add(__file__)
    with pytest.raises(BadInput, match='hold no photo'):
        make_manifest(tmp_path / 'text.tar')
    with pytest.raises(BadInput, match='is empty, or not in the shard'):
        photo_bytes(shards / 'photos-000000.tar' / 'nowhere.jpg')
    assert expand_braces('a-{08..11}.tar') == ['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']
    assert absolute_source('s3://a/b-{0..1}.tar') == 's3://a/b-{0..1}.tar'


def test_reading_ahead_is_bounded_and_ends_with_its_reader():
    begun = []

    def work(i):
        begun.append(i)
        return i

    results = read_ahead(work, range(1000), ahead=8, threads=4)
    assert next(results) == 0 and len(begun) <= 9
    results.close()
    assert len(begun) <= 9 and [*read_ahead(work, range(20))] == [*range(20)]


def test_files_of_one_sample_stay_together(photos, tmp_path):
    "WebDataset: the same name up to the first dot. A stereo pair must not be split."
    with tarfile.open(tmp_path / 'pairs.tar', 'w') as tar:
        for i, file in enumerate(photo_files(photos)):
            tar.add(photos / file, f'{i // 2:04}.{"left" if i % 2 else "right"}.jpg')
    table = make_manifest(tmp_path / 'pairs.tar').table
    assert table.group.nunique() == 12 and (table.groupby('group').split.nunique() == 1).all()


def test_a_run_on_a_bucket_resumes_without_listing_it(photos, shards, tmp_path, monkeypatch):
    "The manifest holds the offsets. A store is asked for ranges of bytes, and whether the shards are there."
    bucket = fsspec.filesystem('memory')
    for file in shards.iterdir():
        bucket.pipe_file(f'/train/{file.name}', file.read_bytes())
    how = dict(arch='colorlab.cnn:CNN', args=dict(nf=4), size=32, bs=4, epochs=2, device='cpu', progress=False)
    learn = train(tmp_path / 'run', data='memory://train/photos-{000000..000002}.tar', schedule='constant', **how)
    again = train(tmp_path / 'folder', data=photos, schedule='constant', **how | dict(epochs=3))
    monkeypatch.setattr('colorlab.shards.list_members', None)
    learn = train(tmp_path / 'run', resume=True, epochs=3, device='cpu', progress=False)
    assert all(map(torch.equal, learn.model.state_dict().values(), again.model.state_dict().values()))
    bucket.rm('/train/photos-000002.tar')
    monkeypatch.setattr('colorlab.shards.time.monotonic', lambda: 1e9)  # a minute later
    with pytest.raises(BadInput, match='memory://train/photos-000002.tar: there is no such shard'):
        train(tmp_path / 'run', resume=True, epochs=4, device='cpu', progress=False)


def test_a_data_set_in_a_folder_is_no_address(photos):
    for name in DATASETS:
        assert absolute_source(f'{name}:{photos}') == f'{name}:{photos}'
