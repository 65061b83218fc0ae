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
from colorlab.images import BadInput


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
            paths = [file['path'] for file in json.loads(sent)['files']]
            said = dict(files=[dict(path=path, uploadMode='regular', shouldIgnore=False) for path in paths])
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
    client = dict(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / 'home'))
    yield server.files, os.environ | client | dict(HF_TOKEN='hf_any', HF_HUB_DISABLE_TELEMETRY='1')
    server.shutdown()


def python(code, env):
    "Run some lines in a process of its own, for the client reads its settings when it is imported."
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', code], env=env, capture_output=True, text=True)


PUSH = """
from colorlab.export import push_model
from colorlab.images import BadInput
for model in MODELS:
    try:
        print(push_model(model, 'me/colors'))
    except BadInput as e:
        print(e)
"""


def test_a_model_goes_to_the_hub_and_comes_back(hub, light, photos, tmp_path):
    files, env = hub
    code = PUSH.replace('MODELS', repr(('lite', str(light), 'sr2')))
    torch_file, onnx_file, refused = python(code, env).stdout.splitlines()
    assert torch_file.endswith('/me/colors') and onnx_file == torch_file
    assert refused.endswith('of the space lab or rgb to color')
    assert files['me/colors/model.safetensors'] == find_model('lite').read_bytes()
    assert files['me/colors/model.onnx'] == light.read_bytes()
    # the first push wrote a page; what is there stays, also if the second would have written another
    card = files['me/colors/README.md'].decode()
    assert "from_pretrained('hf:me/colors')" in card
    # what nobody has measured is named as such
    assert 'colorlab evaluate hf:me/colors --data PHOTOS' in card and 'every skin tone' in card
    photo = next(photos.rglob('*.jpg'))
    for i, name in enumerate(('me/colors', 'hf:me/colors/model.onnx')):
        colorlab('colorize', photo, '--model', name, '--out', tmp_path / str(i), env=env)
        called = name if name.startswith('hf:') else f'hf:{name}'
        assert f'by the model {called} ' in colorlab('inspect', tmp_path / str(i) / photo.name).stdout
    files.clear()  # what was downloaded is there without the hub
    nowhere = env | dict(HF_ENDPOINT='http://127.0.0.1:9')
    colorlab('colorize', photo, '--model', 'hf:me/colors/model.onnx', '--out', tmp_path / 'again', env=nowhere)


FIND = """
from colorlab.backends import find_model
from colorlab.images import BadInput
for name in ('hf:me/lost', 'hf:me', 'me/lost'):
    try:
        find_model(name)
    except BadInput as e:
        print(e)
"""


# the command, without the 23 seconds that the hub's client waits between six attempts
IMPATIENT = """
import sys
import time
from colorlab.cli import main
time.sleep = lambda seconds: None
sys.argv = ARGS
main()
"""


def test_no_hub_and_no_such_model_are_one_line(hub, photos, tmp_path):
    _, env = hub
    lines = python(FIND, env).stdout.splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ('hf:me/lost', 'hf:me', 'me/lost')):
        assert name in line and 'check the name, the network' in line
    nowhere = env | dict(HF_ENDPOINT='http://127.0.0.1:9')
    args = ['colorlab', 'colorize', str(photos), '--model', 'hf:me/lost', '--out', str(tmp_path / 'out')]
    one_line(python(IMPATIENT.replace('ARGS', repr(args)), nowhere), 'hf:me/lost', 'check the name, the network')


def test_a_folder_on_this_machine_is_not_asked_of_the_hub(tmp_path, monkeypatch):
    "Neither a run without a model nor a slip of the pen beside one goes over the network."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('colorlab.backends.download_model', lambda repo: pytest.fail(f'asked for {repo}'))
    (tmp_path / 'runs' / 'mine').mkdir(parents=True)
    for name in ('runs/mine', 'runs/mien', 'lost', './me/colors', 'me/colors.onnx', 'a/b/c'):
        with pytest.raises(BadInput, match='there is no such model'):
            find_model(name)
