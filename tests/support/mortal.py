"""A store as one process sees it: the process may die or be stopped at any verb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import anyio

from runs.engine import Engine
from store import Store

_AGGREGATES = (
    "decisions",
    "approvals",
    "effects",
    "ledger",
    "runs",
    "definitions",
    "keys",
    "freezes",
    "policies",
    "budgets",
    "idempotency",
    "workers",
)

When = Literal["before", "after"]


class Process:
    """Lets one engine's verbs through, until it dies or while it is stopped."""

    def __init__(self, store: Store) -> None:
        self.store = cast(Store, _Seen(store, self))
        self.appends = 0
        self.written_after_stop = 0
        self._death: tuple[int, When] | None = None
        self._stopped = ""
        self._running = anyio.Event()
        self._running.set()
        self.died = anyio.Event()

    def die_at(self, append: int, when: When) -> None:
        """Die right before or right after the n-th append."""
        self._death = (append, when)

    def stop(self, verb: str = "") -> None:
        """No verb begins until ``go_on``, or only this one does not."""
        self._stopped = verb
        self._running = anyio.Event()

    def go_on(self) -> None:
        """Go on where it was stopped."""
        self._running.set()

    async def kill(self, engine: Engine) -> None:
        """End everything of a dead engine's process; nothing is cleaned up."""
        self.died.set()
        for task in (*engine._tasks, *engine._chores):
            task.cancel()

        await anyio.lowlevel.checkpoint()

    async def through(self, verb: str, call: Callable[[], Awaitable[Any]]) -> Any:
        if self._stopped in ("", verb):
            await self._running.wait()

        if verb == "runs.append":
            self.appends += 1
            await self._die_if_due("before")

        await self._hang_if_dead()
        result = await call()
        if verb == "runs.append":
            await self._die_if_due("after")

        return result

    async def _die_if_due(self, when: When) -> None:
        if self._death == (self.appends, when):
            self.died.set()

        await self._hang_if_dead()

    async def _hang_if_dead(self) -> None:
        if self.died.is_set():
            await anyio.sleep_forever()


class _Seen:
    """The store with every verb of every aggregate going through the process."""

    def __init__(self, store: Store, process: Process) -> None:
        self._store = store
        for name in _AGGREGATES:
            setattr(self, name, _Verbs(name, getattr(store, name), process))


class _Verbs:
    def __init__(self, name: str, inner: object, process: Process) -> None:
        self._name = name
        self._inner = inner
        self._process = process

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        inner = getattr(self._inner, verb)

        async def call(*args: Any, **named: Any) -> Any:
            return await self._process.through(
                f"{self._name}.{verb}", lambda: inner(*args, **named)
            )

        return call
