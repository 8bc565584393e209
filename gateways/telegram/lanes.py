"""Lanes: chats are worked on beside each other, each by one task at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any


class Lanes:
    """Tasks, each with the keys that no other task may work on meanwhile."""

    def __init__(self, name: str, bell: asyncio.Event) -> None:
        """``bell`` is rung whenever a task has ended."""
        self._name = name
        self._bell = bell
        self._busy: dict[Hashable, asyncio.Task[Any]] = {}

    def are_free(self, keys: Collection[Hashable]) -> bool:
        """Whether nobody works on any of these."""
        return not any(key in self._busy for key in keys)

    def begin(
        self, keys: Collection[Hashable], work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Work on keys that are free. ``work`` answers for its own failures."""
        task = asyncio.create_task(work(), name=f"{self._name} {min(map(str, keys))}")
        self._busy.update(dict.fromkeys(keys, task))
        task.add_done_callback(lambda _: self._end(keys))

    def _end(self, keys: Collection[Hashable]) -> None:
        for key in keys:
            self._busy.pop(key, None)

        self._bell.set()

    async def close(self, within_s: float = 0.0) -> None:
        """Let what is under way end within so many seconds, and cancel the rest."""
        tasks = {*self._busy.values()}
        if tasks and within_s:
            await asyncio.wait(tasks, timeout=within_s)

        for task in tasks:
            task.cancel()

        await asyncio.gather(*tasks, return_exceptions=True)
