"""Write address, release and name for pip wherever they stand, as settings.ini has them: `make address`.

Notebooks, their list, README, CITATION.cff and pyproject.toml name them. Install cells ask for the release, with
`nbs/constraints.txt`, which is written here, too; final notebooks get their whole install cell from `platforms`.
"""

import json
import re
from configparser import ConfigParser
from pathlib import Path

root = Path(__file__).parents[1]
NAME = r'[\w.-]+/[\w.-]+?'  # user/repo
# Colab and Kaggle bring these, chosen to fit each other and their GPUs: pip leaves them as they are
BROUGHT = 'numpy scipy pandas pillow matplotlib torch torchvision scikit-image opencv-python-headless pyarrow fsspec'
BROUGHT += ' huggingface-hub safetensors tensorboard jinja2 filelock tqdm typer platformdirs threadpoolctl'


def settings():
    "The part of settings.ini that everything else follows."
    config = ConfigParser()
    config.read(root / 'settings.ini')
    return config['DEFAULT']


def with_address(text: str, cfg=None) -> str:
    "The same text with our address and name, or those of other settings, wherever others stand."
    cfg = cfg or settings()
    for pip_name in (
        r'(?<=["\'])[\w.-]+(?=(?:\[[\w,]+\])? @ git\+https://)',
        r"(?<=DISTRIBUTION = ')[\w.-]+",
        r'(?<=^\[project\]\nname = ")[\w.-]+',
    ):
        text = re.sub(pip_name, cfg['name'], text, flags=re.M)
    text = re.sub(rf'git\+https://github\.com/{NAME}(?=\\?["\'])', f'git+{cfg["git_url"]}', text)
    text = re.sub(rf'git\+https://github\.com/{NAME}@[\w.-]+', f'git+{cfg["git_url"]}@{cfg["release"]}', text)
    raw = rf'(?<=https://raw\.githubusercontent\.com/){NAME}/[\w.-]+(?=/nbs/constraints\.txt)'
    text = re.sub(raw, f'{cfg["user"]}/{cfg["repo"]}/{cfg["release"]}', text)
    text = re.sub(
        rf'((?:^Repository = |^repository-code: )"https://github\.com/){NAME}(?=")',
        f'\\g<1>{cfg["user"]}/{cfg["repo"]}',
        text,
        flags=re.M,
    )
    site = f'https://{cfg["user"]}.github.io/{cfg["repo"]}'
    text = re.sub(r'https://[\w-]+\.github\.io/[\w.-]+(?=/page/)', site, text)
    badge = rf'(?<=colab\.research\.google\.com/github/){NAME}/blob/[\w.-]+(?=/)'
    return re.sub(badge, f'{cfg["user"]}/{cfg["repo"]}/blob/{cfg["release"]}', text)


def short_name(requirement: str) -> str:
    "The name of a package in a requirement, as pip compares names."
    return re.match(r'[\w.-]+', requirement)[0].lower().replace('_', '-')


def constraints() -> str:
    "Versions for install cells: what colorlab asks for and the machines of notebooks do not bring."
    cfg = settings()
    requirements = ' '.join(cfg[key] for key in ('requirements', 'all_requirements', 'teaching_requirements'))
    asked = {short_name(requirement) for requirement in requirements.split()} - {*BROUGHT.split()}
    lines = (root / 'constraints.txt').read_text().splitlines()
    chosen = [line for line in lines if not line.startswith('#') and short_name(line) in asked]
    about = '# Install cells take these versions; Colab and Kaggle bring the others. `make address` writes this file.'
    return '\n'.join([about, *chosen]) + '\n'


def install_cell() -> str:
    "The cell with which every final notebook installs colorlab."
    return with_address((root / 'tests' / 'platforms' / 'install_cell.py').read_text()).rstrip()


def is_install_cell(source: str) -> bool:
    "Whether a cell installs colorlab."
    return source.startswith('#| eval: false') and 'pip' in source and 'install' in source


def with_install_cell(notebook: dict) -> dict:
    "A final notebook with our install cell in place of its own."
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code' and is_install_cell(''.join(cell['source'])):
            cell['source'] = install_cell().splitlines(keepends=True)
    return notebook


def files() -> list:
    "Everything that names the address."
    pages = root / 'README.md', root / 'CITATION.cff', root / 'nbs' / 'notebooks.md', root / 'pyproject.toml'
    return [*pages, root / 'nbs' / 'constraints.txt', *sorted((root / 'nbs').rglob('[0-9]*.ipynb'))]


def updated(path: Path) -> str:
    "What a file should hold."
    if path.name == 'constraints.txt':
        return constraints()
    text = path.read_text()
    if path.parent.name == 'train':
        notebook = with_install_cell(json.loads(text))
        text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + '\n'  # as nbdev writes it
    return with_address(text)


if __name__ == '__main__':
    for path in files():
        if (new := updated(path)) != path.read_text():
            path.write_text(new)
            print(path.relative_to(root))
