"""Make an environment that holds what a lock file names: ``_prepare.py FOLDER LOCK``.

Any Python from 3.11 runs this. Two at once are no harm: the second waits for the
first. The copy of the lock that is left in the folder says that it is complete.
"""

import fcntl
import shutil
import subprocess
import sys
import venv
from pathlib import Path


def prepare(folder: Path, lock: Path) -> None:
    """Make or complete the environment; raises CalledProcessError if pip fails."""
    with lock.open(encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not _is_complete(folder, lock):
            print(f"Installing {lock.name} into {folder.name} …", file=sys.stderr)
            _install(folder, lock)


def _is_complete(folder: Path, lock: Path) -> bool:
    stamp = folder / lock.name
    return _runs(folder) and stamp.is_file() and stamp.read_text() == lock.read_text()


def _runs(folder: Path) -> bool:
    """False as well for an environment whose Python has gone."""
    python = folder / "bin" / "python"
    return python.exists() and not _status(python)


def _status(python: Path) -> int:
    return subprocess.run([python, "-c", ""], check=False).returncode


def _install(folder: Path, lock: Path) -> None:
    venv.create(folder, clear=not _runs(folder), symlinks=True, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    wanted = ["install", "--quiet", "--require-hashes", "--requirement", str(lock)]
    subprocess.run([*pip, *wanted], check=True)
    shutil.copyfile(lock, folder / lock.name)


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]), Path(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{sys.argv[1]} is not complete: pip ended with {error.returncode}.")
