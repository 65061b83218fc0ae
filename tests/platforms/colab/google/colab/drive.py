"""Stands in for Colab's own: the machine says in a file how `mount` is to behave."""

import os
import subprocess
from pathlib import Path


def mount(mountpoint, force_remount=False):
    "Mount the Drive of `platforms.machine`, or fail as Colab's and Kaggle's images do."
    if not Path('/var/colab/hostname').exists() and os.environ.get('KAGGLE_KERNEL_RUN_TYPE'):
        raise NotImplementedError('Mounting drive is unsupported in this environment. Use PyDrive2 instead.')
    if os.environ.get('DRIVE_DECLINED'):
        raise ValueError('mount failed')
    if (Path(mountpoint) / 'My Drive').is_dir():
        print(f'Drive already mounted at {mountpoint}')
        return
    if Path(mountpoint).exists() and any(Path(mountpoint).iterdir()):
        raise ValueError('Mountpoint must not already contain files')
    Path(mountpoint).mkdir(exist_ok=True)
    subprocess.run(['mount', '--bind', '/google-drive', mountpoint], check=True)
    print(f'Mounted at {mountpoint}')
