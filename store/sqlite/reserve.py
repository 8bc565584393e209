"""Disk space laid by, to be given up when the disk is full.

On a full disk SQLite can delete no more than it can insert; a freed reserve lets
retention do its work.
"""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 16 * 1024 * 1024
"""The usual size: room for the write-ahead log of a thorough clean-up."""


def lay_by(store: Path, size: int) -> bool:
    """Whether ``<store>.reserve`` now occupies so many bytes.

    A disk without the space is no error: the reserve has been spent and comes back
    at a start that finds room for it.
    """
    path = _reserve_of(store)
    if _size(path) == size:
        return True

    path.unlink(missing_ok=True)
    try:
        _occupy(path, size)
    except OSError:
        path.unlink(missing_ok=True)
        return False

    return True


def give_up(store: Path) -> int:
    """Delete the reserve; how many bytes that freed. Twice is harmless."""
    path = _reserve_of(store)
    freed = _size(path)
    path.unlink(missing_ok=True)
    return freed


def _reserve_of(store: Path) -> Path:
    return store.with_name(store.name + ".reserve")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _occupy(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if size:
            os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)
