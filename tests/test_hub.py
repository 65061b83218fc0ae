"""To the Hugging Face hub and back, through its own client, against a small stand-in for the hub on this machine."""

import base64
import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import colorlab
from test_cli import one_line

from colorlab.backends import find_model


class Hub(BaseHTTPRequestHandler):
    "Keeps files in `server.files` under REPO/FILE; speaks just what the client asks for a small commit and a download."

    def answer(self, body=b'', status=200, **headers):
        self.send_response(status)
        for name, value in {'Content-Length': len(body), 'X-Repo-Commit': '1' * 40, **headers}.items():
            self.send_header(name.replace('_', '-'), str(value))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def do_GET(self):
        name = self.path[1:].replace('/resolve/main/', '/').replace(f'/resolve/{"1" * 40}/', '/')
        if name not in self.server.files:
            return self.answer(status=404, X_Error_Code='EntryNotFound')
        self.answer(self.server.files[name], ETag=f'"{sha256(self.server.files[name]).hexdigest()}"')

    do_HEAD = do_GET

    def do_POST(self):
        sent = self.rfile.read(int(self.headers['Content-Length']))
        repo = '/'.join(self.path.split('/')[3:5])
        if 'preupload' in self.path:
            said = dict(
                files=[
                    dict(path=f['path'], uploadMode='regular', shouldIgnore=False) for f in json.loads(sent)['files']
                ]
            )
        elif 'commit' in self.path:
            for line in map(json.loads, sent.splitlines()):
                if line['key'] == 'file':
                    self.server.files[f'{repo}/{line["value"]["path"]}'] = base64.b64decode(line['value']['content'])
            said = dict(commitUrl=f'{self.server.url}/{repo}/commit/{"1" * 40}', commitOid='1' * 40)
        elif 'validate' in self.path:
            said = dict(errors=[], warnings=[])
        else:
            said = dict(url=f'{self.server.url}/me/colors')
        self.answer(json.dumps(said).encode(), Content_Type='application/json')

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    "A running stand-in; its files, and the environment in which the client finds it."
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    server.files, server.url = {}, f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield (
        server.files,
        os.environ
        | dict(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / 'home'), HF_TOKEN='hf_any', HF_HUB_DISABLE_TELEMETRY='1'),
    )
    server.shutdown()


def push(model, env):
    return subprocess.run(
        [
            sys.executable,
            '-c',
            f'from colorlab.export import push_model; print(push_model({str(model)!r}, "me/colors"))',
        ],
        env=env,
        capture_output=True,
        text=True,
    )


def test_a_model_goes_to_the_hub_and_comes_back(hub, light, photos, tmp_path):
    files, env = hub
    done = push('lite', env)
    assert done.returncode == 0 and done.stdout.endswith('/me/colors\n'), done.stderr
    assert files['me/colors/model.safetensors'] == find_model('lite').read_bytes()
    assert "load('hf:me/colors')" in files['me/colors/README.md'].decode()
    files['me/colors/README.md'] = b'# mine'
    assert push(light, env).returncode == 0
    assert (
        files['me/colors/README.md'] == b'# mine' and files['me/colors/model.onnx'] == light.read_bytes()
    )  # a page that is there stays
    photo = next(photos.rglob('*.jpg'))
    for name in ('hf:me/colors', 'hf:me/colors/model.onnx'):
        colorlab('colorize', photo, '--model', name, '--out', tmp_path / name[-4:], env=env)
        assert f'by the model {name} ' in colorlab('inspect', tmp_path / name[-4:] / photo.name).stdout
    files.clear()  # what was downloaded is there without the hub
    colorlab(
        'colorize',
        photo,
        '--model',
        'hf:me/colors/model.onnx',
        '--out',
        tmp_path / 'again',
        env=env | dict(HF_ENDPOINT='http://127.0.0.1:9'),
    )


def test_no_hub_and_no_such_model_are_one_line(hub, photos, tmp_path):
    files, env = hub
    for name, env in (
        ('hf:me/lost', env),
        ('hf:me', env),
        ('hf:me/lost', env | dict(HF_ENDPOINT='http://127.0.0.1:9')),
    ):
        one_line(
            colorlab('colorize', photos, '--model', name, '--out', tmp_path / 'out', env=env, check=False),
            name,
            'check the name, the network',
        )
    assert push('sr2', env).stderr.splitlines()[-1].endswith('of the space lab or rgb to color') and not files
