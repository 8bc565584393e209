"""What a folder's files mean for what is saved: which are due, which are gone; pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateways.knowledge.files import File

_FIRST_S = 4.0
_LONGEST_S = 900.0


class Watch:
    """Which files were dealt with as they are now, and which wait for another try.

    Times are seconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._known: dict[Path, File] = {}
        self._present: dict[Path, File] = {}
        """What there was at the last look."""

        self._settled: set[Path] = set()
        self._waits: dict[Path, tuple[float, float]] = {}
        """Until when, and how long it was."""

    def due(self, files: Iterable[File], now: float) -> list[File]:
        """What is new, has changed, or is to be tried again."""
        due: list[File] = []
        self._present = {file.path: file for file in files}
        for file in self._present.values():
            if self._known.get(file.path) != file:
                self._known[file.path] = file
                self._settled.discard(file.path)
                self._waits.pop(file.path, None)

            if file.path not in self._settled and self._may_try(file.path, now):
                due.append(file)

        return due

    def gone(self, now: float) -> list[File]:
        """What was there, and is not any more, nor another file of its name.

        A file that has the name of one that went is due again.
        """
        gone: list[File] = []
        for file in [*self._known.values()]:
            if file.path in self._present:
                continue

            heirs = [one for one in self._present.values() if one.name == file.name]
            if heirs:
                self.forget(file)
                self._settled.difference_update(heir.path for heir in heirs)
            elif self._may_try(file.path, now):
                gone.append(file)

        return gone

    def rival(self, file: File) -> File | None:
        """Another file, earlier by path, that has the same name."""
        same = [one for one in self._present.values() if one.name == file.name]
        first = min(same, key=lambda one: one.path, default=file)
        return first if first.path != file.path else None

    def settle(self, file: File) -> None:
        """The file has been dealt with, until it changes."""
        self._settled.add(file.path)
        self._waits.pop(file.path, None)

    def try_later(self, file: File, now: float) -> float:
        """The file is to be tried again; in how many seconds: longer every time."""
        _, before = self._waits.get(file.path, (0.0, _FIRST_S / 2))
        wait = min(before * 2, _LONGEST_S)
        self._waits[file.path] = (now + wait, wait)
        return wait

    def forget(self, file: File) -> None:
        """Nothing is left of the file."""
        self._known.pop(file.path, None)
        self._settled.discard(file.path)
        self._waits.pop(file.path, None)

    def _may_try(self, path: Path, now: float) -> bool:
        until, _ = self._waits.get(path, (now, 0.0))
        return until <= now
