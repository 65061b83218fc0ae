"""A machine that looks like Colab's, Kaggle's or a student's, made of this one: own folders, own disks, a Drive."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

here = Path(__file__).parent
root = here.parents[1]
HOMES = dict(colab='/content', kaggle='/kaggle/working', laptop='/student')  # where each opens its notebooks

# A file system of its own: every folder of this machine, and beside them what the other one has.
BUILD = r"""
set -e
mount -t tmpfs tmpfs "$1"
for path in /*; do
    if [ -L "$path" ]; then cp -P "$path" "$1$path"
    elif [ -d "$path" ]; then mkdir "$1$path"; mount --rbind "$path" "$1$path"
    fi
done
mkdir -p "$1$2" "$1/chosen" "$1/google-drive" "$1/cache"
if [ "$2" = /content ]; then
    mount -t tmpfs -o size="$3"m tmpfs "$1/google-drive"
    mkdir "$1/google-drive/MyDrive" "$1/google-drive/My Drive" "$1/google-drive/.Trash"
fi
if [ "$2" = /kaggle/working ]; then mkdir -p "$1/kaggle/input"; fi
exec chroot "$1" sh -c 'echo ready; exec sleep infinity'
"""


@cache
def unshare():
    "The command that gives a process mounts of its own; None where the system does not allow that."
    for command in (['unshare', '-m'], ['unshare', '-rm']):
        try:
            if not subprocess.run([*command, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], capture_output=True).returncode:
                return command
        except FileNotFoundError:
            return None  # not Linux


class Machine:
    "To be used in a `with` statement; files in it are below `root`."

    def __init__(
        self,
        place,  # colab, kaggle or laptop
        folder,  # an empty one, for the machine to live in
        drive_mb=200,  # what fits on Drive, its trash included
        memory_gb=12,  # more makes a session fail
    ):
        self.place, self.folder, self.home = place, Path(folder), HOMES[place]
        self.drive_mb, self.memory_gb = drive_mb, memory_gb

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        args = ['sh', '-c', BUILD, 'sh', str(self.folder), self.home, str(self.drive_mb)]
        self.holder = subprocess.Popen([*unshare(), *args], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == 'ready\n'
        self.root = Path(f'/proc/{self.holder.pid}/root')
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.communicate()

    def path(self, path):
        "The same file, seen from outside."
        return self.root / str(path).lstrip('/')

    @property
    def runs(self):
        "Where this machine's runs are, seen from outside."
        return self.path(self.home) / 'colorlab-runs'

    def found(self, name):
        "All files of a name in folders of this machine's runs, seen from outside."
        return [*self.path(self.home).glob(f'colorlab-*/**/{name}')]

    @property
    def drive(self):
        "The user's Drive, seen from outside."
        return self.path('/google-drive')

    def command(self, *args):
        "What runs a command in this machine, where its notebooks lie."
        own = [] if unshare() == ['unshare', '-m'] else ['-U', '--preserve-credentials']
        enter = ['nsenter', '-t', str(self.holder.pid), '-m', '-r', *own]
        return [*enter, 'sh', '-c', f'cd {self.home} && exec "$@"', 'sh', *map(str, args)]

    def environment(self, own):
        "The variables that a notebook sees there."
        env = {k: v for k, v in os.environ.items() if not k.startswith(('COLORLAB_', 'KAGGLE_'))}
        env |= dict(IN_TEST='1', OMP_NUM_THREADS='1', TQDM_DISABLE='1', PYTHONWARNINGS='ignore', MPLBACKEND='agg')
        env |= dict(COLORLAB_CACHE='/cache', COLORLAB_RUNS='colorlab-runs' * (self.place == 'laptop'))
        if self.place == 'kaggle':
            env['KAGGLE_KERNEL_RUN_TYPE'] = 'Interactive'
        if self.place != 'laptop':
            env['PYTHONPATH'] = os.pathsep.join([str(here / 'colab'), env.get('PYTHONPATH', '')]).rstrip(os.pathsep)
        return env | own

    def limit(self):
        "No more memory than the machine has."
        n = int(self.memory_gb * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (n, n))

    def run(self, notebook, times=1, kill_when=None, env=(), **changes):
        """Run a notebook whole, `times` in one kernel; what it printed.

        `kill_when` is asked again and again, and ends the session with SIGKILL as soon as it says yes.
        """
        runner = [sys.executable, here / 'run_notebook.py', Path(notebook).resolve(), times]
        command = self.command(*runner, *(f'{name}={value}' for name, value in changes.items()))
        log = self.folder.with_name(f'{self.folder.name}-{time.time_ns()}.log')
        with open(log, 'wb') as out:
            how = dict(env=self.environment(dict(env)), cwd='/', preexec_fn=self.limit, start_new_session=True)
            session = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **how)
        try:
            while session.poll() is None:
                if kill_when and kill_when():
                    os.killpg(session.pid, signal.SIGKILL)
                    session.wait()
                time.sleep(0.02)
        finally:
            if session.poll() is None:
                os.killpg(session.pid, signal.SIGKILL)
        said = log.read_text()
        wanted = -signal.SIGKILL if kill_when else 0
        assert session.returncode == wanted, f'{notebook} on {self.place} ended with {session.returncode}:\n{said}'
        return said

    def give_photos(self, *files):
        "Let its user have photos: to choose in Colab's dialog, attached on Kaggle, or in a folder at home."
        folder = dict(colab='/chosen', kaggle='/kaggle/input/my-photos', laptop='/student/my-photos')[self.place]
        self.path(folder).mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, self.path(folder))

    def leave_on_drive(self, mb):
        "Let only so much fit on Drive beside what is there."
        used = sum(file.stat().st_size for file in self.drive.rglob('*') if file.is_file())
        size = f'remount,size={used // 2**20 + 1 + mb}m'
        subprocess.run(self.command('mount', '-o', size, '/google-drive'), check=True, cwd='/')

    def new_session(self):
        "Take everything away but Drive, and the output that Kaggle keeps, which is attached and cannot be written."
        if self.place == 'colab' and self.path('/content/drive/MyDrive').exists():
            subprocess.run(self.command('umount', '/content/drive'), check=True, cwd='/')
        if self.place == 'kaggle':
            output = self.path(f'/kaggle/input/output-{time.time_ns()}')
            shutil.copytree(self.path(self.home), output)
            inside = f'/kaggle/input/{output.name}'
            subprocess.run(self.command('mount', '--bind', inside, inside), check=True, cwd='/')
            subprocess.run(self.command('mount', '-o', 'remount,bind,ro', inside), check=True, cwd='/')
        if self.place != 'laptop':
            for path in (*self.path(self.home).iterdir(), *self.path('/cache').iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def peak_mb(said):
    "The peak of a session's memory, from what it printed."
    return int(re.search(r'\[peak (\d+) MB\]', said)[1])


def times_of_runs(said):
    "When each run of a notebook began, and how many seconds it took, from what it printed."
    return [(float(began), int(took)) for began, took in re.findall(r'\[began ([\d.]+), took (\d+) s\]', said)]
