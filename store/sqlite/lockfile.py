"""The lock that lets one process at a time own a store file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts import ConfigurationError


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold ``<store>.lock``; the kernel lets go of it when the process ends, however.

    Raises ConfigurationError, naming the file and the process that holds it. The
    lock file stays behind: to remove it would let two processes hold two locks.
    """
    path = store.with_name(store.name + ".lock")
    descriptor = _opened(path)
    try:
        _lock(descriptor, store)
        _write_pid(descriptor)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"The lock file {path} cannot be opened: {error.strerror}."
        raise ConfigurationError(message, code="store_unusable") from error


def _lock(descriptor: int, store: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        message = f"The store file {store} is in use by process {holder or 'unknown'}."
        raise ConfigurationError(message, code="store_in_use") from error


def _write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
