"""One group's queue of one kind, and the slots that work through it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from bus.fates import Dead, fate
from bus.log_lines import LogLines
from bus.protocol import Handler
from contracts import Clock, Envelope

_TURN = 64
"""A slot lets the loop breathe after so many messages that never waited."""


class Queued(NamedTuple):
    """A message and the number of the try that comes next, counted from 1."""

    envelope: Envelope
    tries: int = 1


class Burial(NamedTuple):
    """A message that is dead, with why and after how many tries."""

    envelope: Envelope
    group: str
    reason: str
    tries: int


class Group:
    """A queue that every subscription of the group draws from."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.waiting: deque[Queued] = deque()
        self.retrying = 0
        self.handling = 0
        self.consumers = 0
        self._idle: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """Messages not yet handed to a handler, later tries included."""
        return len(self.waiting) + self.retrying

    def put(self, queued: Queued) -> None:
        """Add a message and wake one idle slot."""
        self.waiting.append(queued)
        while self._idle:
            slot = self._idle.popleft()
            if not slot.done():
                slot.set_result(None)
                return

    async def wait(self) -> None:
        """Return when there may be something to take."""
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(slot)
        await slot

    def wake_all(self) -> None:
        """Let every idle slot look again."""
        while self._idle:
            slot = self._idle.popleft()
            if not slot.done():
                slot.set_result(None)


class Slots:
    """A subscription: so many tasks that hand a group's messages to a handler."""

    def __init__(
        self,
        group: Group,
        handler: Handler,
        slots: int,
        clock: Clock,
        bury: Callable[[Burial], None],
    ) -> None:
        self._group = group
        self._handler = handler
        self._clock = clock
        self._bury = bury
        self._closing = False
        group.consumers += 1
        self._later: set[asyncio.Task[None]] = set()
        self._log = LogLines()
        name = f"{group.name} takes {group.kind}"
        self._tasks = [
            asyncio.create_task(self._work(), name=f"{name} {n}") for n in range(slots)
        ]

    async def close(self) -> None:
        """Finish what runs, take nothing more. Twice is harmless."""
        self._group.consumers -= not self._closing
        self._closing = True
        self._group.wake_all()
        for task in self._later:
            task.cancel()

        await asyncio.gather(*self._tasks, *self._later, return_exceptions=True)

    async def _work(self) -> None:
        in_a_row = 0
        while not self._closing:
            if not self._group.waiting:
                in_a_row = 0
                await self._group.wait()
                continue

            await self._deliver(self._group.waiting.popleft())
            in_a_row += 1
            if in_a_row % _TURN == 0:
                await asyncio.sleep(0)

    async def _deliver(self, queued: Queued) -> None:
        envelope, tries = queued
        self._log.delivered(envelope, self._group.name, tries)
        self._group.handling += 1
        try:
            await self._handler(envelope)
        except Exception as error:  # noqa: BLE001  every error has a fate
            self._failed(queued, error)
        finally:
            self._group.handling -= 1

    def _failed(self, queued: Queued, error: Exception) -> None:
        envelope, tries = queued
        verdict = fate(error, tries)
        if isinstance(verdict, Dead):
            self._bury(Burial(envelope, self._group.name, verdict.reason, tries))
            return

        self._log.retried(
            envelope,
            self._group.name,
            tries,
            delay_s=verdict.delay_s,
            error=str(error),
        )
        task = asyncio.create_task(
            self._again(envelope, tries + 1, verdict.delay_s),
            name=f"{envelope.kind} {envelope.id} waits for another try",
        )
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _again(self, envelope: Envelope, tries: int, delay_s: float) -> None:
        self._group.retrying += 1
        try:
            await self._clock.sleep(delay_s)
        finally:
            self._group.retrying -= 1

        self._group.put(Queued(envelope, tries))
