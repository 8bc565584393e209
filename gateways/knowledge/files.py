"""The YAML files of a folder: which there are, and what stands in one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from contracts import LIMITS, InvalidInput, JsonObject
from plans import read_yaml

_SUFFIXES = frozenset({".yaml", ".yml"})
_MOST_FILES = 1_000


class File(NamedTuple):
    """A file by its name in the folder, and what tells whether it changed."""

    name: str
    path: Path
    mark: tuple[int, int]
    """Time of its last change in nanoseconds, and size."""


def files_in(folder: Path) -> dict[str, File]:
    """The files below a folder, by the name of what they hold: their path without end.

    Hidden ones and what leads out of the folder are left out. Raises OSError.
    """
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*"))[: _MOST_FILES * 4]:
        relative = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if is_hidden or path.suffix not in _SUFFIXES or path.is_symlink():
            continue

        if path.is_file() and len(found) < _MOST_FILES:
            told = path.stat()
            name = relative.with_suffix("").as_posix()
            found[name] = File(name, path, (told.st_mtime_ns, told.st_size))

    return found


def content_of(file: File) -> JsonObject:
    """What stands in a file. Raises InvalidInput with the place, OSError."""
    most = LIMITS["body_bytes"]
    if file.mark[1] > most:
        raise InvalidInput(f"The file is larger than {most} bytes.")

    return read_yaml(file.path.read_bytes())
