"""The YAML files of a folder: which there are, and what stands in one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from contracts import LIMITS, InvalidInput, JsonObject
from plans import read_yaml

_SUFFIXES = frozenset({".yaml", ".yml"})
_MOST_FILES = 1_000


class File(NamedTuple):
    """A file, the name of the knowledge it holds, and what tells whether it changed."""

    name: str
    path: Path
    mark: tuple[int, int]
    """Time of its last change in nanoseconds, and size."""


def files_in(folder: Path) -> list[File]:
    """The files below a folder, by path.

    A file's name is its path without its end, with dots between the parts. Hidden
    ones and what leads out of the folder are left out. Raises OSError if there is no
    folder, a part of it cannot be listed, or it has more than 1,000: what is not seen
    must not count as deleted.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")

    found: list[File] = []
    for path in sorted(_paths_in(folder)):
        if path.is_symlink() or not path.is_file():
            continue

        told = path.stat()
        mark = (told.st_mtime_ns, told.st_size)
        found.append(File(_name_of(path.relative_to(folder)), path, mark))
        if len(found) > _MOST_FILES:
            raise OSError(f"{folder} has more than {_MOST_FILES} YAML files")

    return found


def _paths_in(folder: Path) -> Iterator[Path]:
    """The YAML files that are not hidden. Raises OSError for what cannot be listed."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix in _SUFFIXES:
                yield path


def _raise(error: OSError) -> None:
    raise error


def _name_of(relative: Path) -> str:
    """The name; what is no UTF-8 in it is shown as such, and no name."""
    joined = ".".join(relative.with_suffix("").parts)
    return joined.encode("utf-8", "replace").decode()


def content_of(file: File) -> JsonObject:
    """What stands in a file. Raises InvalidInput with the place, OSError."""
    most = LIMITS["body_bytes"]
    if file.mark[1] > most:
        raise InvalidInput(f"The file is larger than {most} bytes.")

    return read_yaml(file.path.read_bytes())
