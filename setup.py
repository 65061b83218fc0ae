"""Packaging: everything that can vary stands in settings.ini."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

config = ConfigParser()
config.read('settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

setup(
    version=cfg['version'],
    description=cfg['description'],
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    license_expression=cfg['license'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    classifiers=[
        'Intended Audience :: Education',
        'Topic :: Multimedia :: Graphics',
        'Programming Language :: Python :: 3',
    ],
    # The photos lie in data/, where a reader of the repository looks for them;
    # they ride in the wheel as colorlab/sample and colorlab/old_photos.
    packages=['colorlab', 'colorlab.assets', 'colorlab.sample', 'colorlab.old_photos'],
    package_dir={
        'colorlab': cfg['lib_path'],
        'colorlab.sample': 'data/sample',
        'colorlab.old_photos': 'data/old_photos',
    },
    package_data={
        'colorlab': ['py.typed', '*.pyi'],
        'colorlab.assets': ['*'],
        'colorlab.sample': ['*.csv', '*.md', '*/*.jpg'],
        'colorlab.old_photos': ['*.csv', '*.md', '*.jpg'],
    },
    install_requires=cfg['requirements'].split(),
    extras_require={
        key.removesuffix('_requirements'): cfg[key].split() for key in cfg if key.endswith('_requirements')
    },
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': [f'{cfg["name"]}={cfg["lib_path"]}._modidx:d'],
    },
)
