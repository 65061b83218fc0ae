"""The page that colors photos in the browser, for the site: `make docs` calls this after sphinx-build.

What it needs and the repository does not hold: onnxruntime-web, which npm fetches once, and the model as one graph.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from colorlab.backends import find_model
from colorlab.colorizer import Colorizer
from colorlab.images import BadInput, old_photos_folder
from colorlab.metadata import add_provenance
from colorlab.onnx_pipeline import export_pixels

RUNTIME = 'onnxruntime-web', '1.30.0'
SHA512 = 'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='
LARGE = 'ort-wasm-simd-threaded.wasm', 'photo.onnx'  # in the order in which worker.js takes them
page, build = Path(__file__).parent / 'page', Path(__file__).parent / '_build'


def fetch_runtime(
    folder: Path,  # where it is kept for the next time
) -> Path:  # a .tgz
    "onnxruntime-web as npm packs it; `BadInput` if npm is missing or cannot fetch it."
    name, version = RUNTIME
    archive = folder / f'{name}-{version}.tgz'
    if not archive.exists():
        if not (npm := shutil.which('npm')):
            raise BadInput('npm is missing')
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, 'pack', '--silent', '--pack-destination', folder, f'{name}@{version}']
        if subprocess.run(command, capture_output=True, cwd=folder).returncode or not archive.exists():
            raise BadInput(f'npm cannot fetch {name} {version}')
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
        raise BadInput(f'{archive}: is not what was published as {name} {version}; delete it')
    return archive


def unpack_runtime(archive: Path, out: Path):
    "The two files of onnxruntime-web that the page needs, and its license."
    with tarfile.open(archive) as tar:
        for name in ('dist/ort.wasm.bundle.min.mjs', f'dist/{LARGE[0]}'):
            (out / Path(name).name).write_bytes(tar.extractfile(f'package/{name}').read())
    (out / 'ort.txt').write_text(f'{" ".join(RUNTIME)}, MIT License, Microsoft: https://onnxruntime.ai\n')


def export_once(folder: Path) -> Path:
    "The model as one graph; made again when the model, or how the graph is made, has changed."
    package = Path(export_pixels.__code__.co_filename).parent
    made_of = [find_model('lite'), package / 'onnx_pipeline.py', package / 'onnx_graphs.py']
    digest = hashlib.sha256(b''.join(hashlib.sha256(p.read_bytes()).digest() for p in made_of)).hexdigest()[:16]
    graph = folder / f'photo-{digest}.onnx'
    if not graph.exists():
        folder.mkdir(parents=True, exist_ok=True)
        export_pixels('lite', graph)
    return graph


def build_page(
    out: Path,  # folder to make
    cache: Path = build / 'page_parts',  # what need not be made twice
):
    "The page with all that it needs, so that it asks no other host; `BadInput` if npm is missing."
    archive = fetch_runtime(cache)
    out.mkdir(parents=True, exist_ok=True)
    for path in page.iterdir():
        shutil.copy(path, out)
    unpack_runtime(archive, out)
    shutil.copy(export_once(cache), out / LARGE[1])
    shutil.copy(old_photos_folder() / '1935-dust-bowl-home.jpg', out / 'sample.jpg')
    (out / 'mark.xmp').write_bytes(add_provenance(None, Colorizer.from_pretrained('lite', 'cpu').provenance))
    about = dict(large=LARGE, bytes=sum((out / name).stat().st_size for name in LARGE))
    (out / 'build.json').write_text(json.dumps(about))
    files = sorted(p for p in out.iterdir() if p.name != 'sw.js')
    version = hashlib.sha256(b''.join(p.read_bytes() for p in files)).hexdigest()[:16]
    kept = json.dumps(dict(version=version, files=[p.name for p in files]))
    worker = (page / 'sw.js').read_text(encoding='utf-8')
    (out / 'sw.js').write_text(worker.replace("{ version: '', files: [] }", kept), encoding='utf-8')


if __name__ == '__main__':
    try:
        build_page(build / 'html' / 'page')
    except BadInput as e:
        print(f'the site is built without the page that colors in the browser: {e}')
