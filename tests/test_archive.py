"""An archive through Ray Data: killed workers, a killed command, a bucket with broken files, the bytes of colorize."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import Running, sample
from PIL import Image

if not find_spec('ray'):  # importing it takes two seconds
    pytest.skip('Ray is missing: pip install colorlab[archive]', allow_module_level=True)

import pandas as pd  # noqa: E402

from colorlab.archive import ArchiveWorker, color_archive  # noqa: E402
from colorlab.cnn import CNN  # noqa: E402
from colorlab.colorize import color_files  # noqa: E402
from colorlab.colorizer import Colorizer  # noqa: E402
from colorlab.export import export_onnx  # noqa: E402
from colorlab.images import BadInput  # noqa: E402
from colorlab.model_files import save_model  # noqa: E402
from colorlab.stores import open_store, write_whole  # noqa: E402

N_PHOTOS, N_IN_BUCKET = 56, 100
SERVERS = dict(
    s3=os.environ.get('COLORLAB_MOTO_SERVER') or shutil.which('moto_server'),
    gs=os.environ.get('COLORLAB_GCS_EMULATOR') or shutil.which('gcp-storage-emulator'),
)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@pytest.fixture(scope='module')
def endpoints():
    "Addresses of servers that speak S3's and Google's protocol, once started; clients read them from the environment."
    found = {scheme: f'http://127.0.0.1:{free_port()}' for scheme in SERVERS}
    account = dict(AWS_ACCESS_KEY_ID='x', AWS_SECRET_ACCESS_KEY='x', AWS_EC2_METADATA_DISABLED='true')
    account |= dict(RAY_AUTH_MODE='token', RAY_AUTH_TOKEN=secrets.token_hex(32))  # of the cluster of these tests
    account |= dict(AWS_DEFAULT_REGION='us-east-1', STORAGE_EMULATOR_HOST=found['gs'])
    account['AWS_ENDPOINT_URL'] = found['s3'].removeprefix('http://')  # as some write it
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture(scope='module')
def cluster(endpoints, tmp_path_factory):
    "The address of a cluster of one machine; Ray starts once for all tests."
    port, folder = free_port(), tmp_path_factory.mktemp('ray')
    short = tempfile.mkdtemp(dir='/tmp')  # Ray's sockets lie below, whose names must be short
    env = dict(os.environ, RAY_USAGE_STATS_ENABLED='0', RAY_raylet_start_wait_time_s='300', RAY_TMPDIR=short)
    env['RAY_worker_niceness'] = '0'  # at Ray's 15 they would get nothing while other tests run
    ray = [Path(sys.executable).with_name('ray'), 'start', '--head', '--block', f'--port={port}', '--num-cpus=2']
    ray += ['--include-dashboard=false', f'--object-store-memory={100 * 2**20}', '--disable-usage-stats']
    ray += ['--no-monitor', '--include-log-monitor=false']  # two processes less
    with open(folder / 'log', 'w') as log:
        head = subprocess.Popen(ray, stdout=log, stderr=log, env=env, start_new_session=True)
    while 'Ray runtime started' not in (folder / 'log').read_text():
        assert head.poll() is None, (folder / 'log').read_text()
        time.sleep(0.1)
    yield f'127.0.0.1:{port}'
    os.killpg(head.pid, signal.SIGKILL)  # asked to end, Ray takes half a minute
    head.wait()
    shutil.rmtree(short, ignore_errors=True)


def fill(folder, n):
    "Small gray photos, cut out of the sample's, in two folders, and every hundredth broken, at least one."
    files = sorted(sample.glob('scenes/*.jpg'))
    for i in range(n):
        where = folder / f'box {i % 2}'
        where.mkdir(parents=True, exist_ok=True)
        img = Image.open(files[i % len(files)]).convert('L')
        img.crop((i % 7, i % 5, i % 7 + 96, i % 5 + 72)).save(where / f'{i:03}.jpg')
        if i % 100 == 50:
            (where / f'{i:03}.jpg').write_bytes((where / f'{i:03}.jpg').read_bytes()[:500])
    return folder


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*.jpg')}


def plain(box, out, model='lite'):
    "What `colorize` makes of every sixth photo of a folder."
    few = out.with_name('few')
    for file in sorted(box.rglob('*.jpg'))[::6]:
        (few / file.relative_to(box)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, few / file.relative_to(box))
    color_files(Colorizer.from_pretrained(model), [few], out, progress=False)
    return contents(out)


def ray_workers(name):
    "Processes of Ray that color, by what they call themselves."
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            if f'ray::MapWorker(MapBatches({name}))' in (folder / 'cmdline').read_text():
                yield int(folder.name)
        except OSError:
            pass


def test_kills_lose_nothing_and_the_bytes_are_those_of_colorize(cluster, tmp_path):
    box, out = fill(tmp_path / 'in', N_PHOTOS), tmp_path / 'out'
    args = 'archive', box, '--out', out, '--address', cluster, '--workers', 2, '--per-task', 8
    running = Running(*args)
    running.wait_for(lambda: len(contents(out)) >= 8)
    victim = next(ray_workers('ArchiveWorker'))
    os.kill(victim, signal.SIGKILL)
    running.wait_for(lambda: len(contents(out)) >= 24)
    running.end(signal.SIGKILL)
    there = {p: p.stat().st_mtime_ns for p in out.rglob('*.jpg')}
    assert 24 <= len(there) < N_PHOTOS and not (out / 'archive.parquet').exists()

    done = Running(*args).end()
    assert done.returncode == 1 and '050.jpg: cannot be read' in done.stderr and 'Traceback' not in done.stderr
    assert 'already done' in done.stdout
    colored = contents(out)
    assert len(colored) == N_PHOTOS - 1 and plain(box, tmp_path / 'plain').items() < colored.items()
    assert all(p.stat().st_mtime_ns == then for p, then in there.items()), 'a photo was colored twice'
    table = pd.read_parquet(out / 'archive.parquet')
    assert table.file.nunique() == len(table) == N_PHOTOS and (table.status == 'done').sum() == N_PHOTOS - 1
    assert not list(out.rglob('.*.part')) and not (out / '.archive' / 'notes').exists()


@pytest.fixture(scope='module')
def narrow(tmp_path_factory):
    "A small untrained network: what is tried with it is the way of the photos, not their colors."
    folder = tmp_path_factory.mktemp('narrow')
    save_model(CNN(nf=4), folder / 'cnn.safetensors', 'colorlab.cnn:CNN', dict(nf=4), 'lab', 48)
    export_onnx(folder / 'cnn.safetensors', folder / 'cnn.onnx')
    return folder / 'cnn.onnx'


@pytest.fixture(scope='module', params=['s3', 'gs'])
def bucket(request, endpoints, tmp_path_factory):
    "The address of an empty bucket, on a server of our own."
    scheme, endpoint = request.param, endpoints[request.param]
    if not SERVERS[scheme]:
        pytest.skip('no server: pip install "moto[server]" or gcp-storage-emulator, or see SERVERS')
    port = endpoint.rpartition(':')[2]
    args = dict(s3=['-p', port], gs=['start', '--in-memory', '--host=127.0.0.1', f'--port={port}'])[scheme]
    make = urllib.request.Request(f'{endpoint}/archive', method='PUT')
    if scheme == 'gs':
        kind = {'Content-Type': 'application/json'}
        make = urllib.request.Request(f'{endpoint}/storage/v1/b', b'{"name": "archive"}', kind)
    with open(tmp_path_factory.mktemp(scheme) / 'log', 'w') as log:
        server = subprocess.Popen([SERVERS[scheme], *args], stdout=log, stderr=log)
    for _ in range(600):
        try:
            urllib.request.urlopen(make)
            break
        except OSError:
            time.sleep(0.1)
    yield f'{scheme}://archive'
    server.terminate()
    server.wait()


def test_a_bucket_in_which_one_file_of_a_hundred_is_broken(cluster, bucket, narrow, tmp_path):
    box = fill(tmp_path / 'in', N_IN_BUCKET)
    for name, data in contents(box).items():
        write_whole(*open_store(f'{bucket}/photos/{name}'), data)
    args = 'archive', f'{bucket}/photos', '--out', f'{bucket}/colored', '--address', cluster, '--workers', 2
    args += '--model', narrow
    done = Running(*args).end()
    assert done.returncode == 1 and f'{N_IN_BUCKET - 1} photos colored' in done.stdout, done.stdout + done.stderr
    store, folder = open_store(f'{bucket}/colored')
    for name, data in plain(box, tmp_path / 'plain', narrow).items():
        assert store.cat_file(f'{folder}/{name}') == data
    store.rm_file(f'{folder}/box 1/001.jpg')
    done = Running(*args).end()
    assert f'1 photo colored into {bucket}/colored; {N_IN_BUCKET - 2} already done' in done.stdout
    with store.open(f'{folder}/archive.parquet', 'rb') as f:
        table = pd.read_parquet(f)
    assert len(table) == N_IN_BUCKET and table[table.status == 'refused'].why.str.contains('050.jpg: cannot').all()


def test_what_is_asked_differently_is_colored_again(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'colored')
    worker = ArchiveWorker.__new__(ArchiveWorker)  # without a process of Ray
    worker.options, worker.made_by, worker.said = dict(force=False, sidecar=False), dict(sha256='1'), '{}'
    worker.store, worker.folder = open_store(tmp_path)
    row = dict(status='done', model_sha256='1', options='{}', bytes=7)
    assert worker.is_kept(row, 'a.jpg')
    for other in (dict(options='{"vividness": "1.4"}'), dict(model_sha256='2'), dict(bytes=8), dict(status='refused')):
        assert not worker.is_kept(row | other, 'a.jpg')
    assert not worker.is_kept(row, 'b.jpg') and not worker.is_kept(None, 'a.jpg')


def test_a_wrong_source_or_cluster_is_one_line(tmp_path):
    fill(tmp_path / 'in', 1)
    for source, words in ((tmp_path / 'nowhere', 'no such folder'), ('ftpx://a/b', 'cannot be opened')):
        with pytest.raises(BadInput, match=words):
            color_archive(source, tmp_path / 'out', progress=False)
    assert not (tmp_path / 'out').exists()
