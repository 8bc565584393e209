"""The YAML files of a folder: which there are, and what stands in one."""

from __future__ import annotations

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
    """The files below a folder, by path, at most 1,000.

    A file's name is its path without its end, with dots between the parts. Hidden
    ones and what leads out of the folder are left out. Raises OSError, also if there
    is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")

    found: list[File] = []
    for path in sorted(folder.rglob("*"))[: _MOST_FILES * 4]:
        relative = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if is_hidden or path.suffix not in _SUFFIXES or path.is_symlink():
            continue

        if path.is_file() and len(found) < _MOST_FILES:
            told = path.stat()
            name = _name_of(relative)
            found.append(File(name, path, (told.st_mtime_ns, told.st_size)))

    return found


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
