"""Backpressure: a kind whose groups lag too far takes nothing more."""

from __future__ import annotations

import asyncio

from bus.redis_streams.office import Office
from bus.redis_streams.positions import positions, waiting
from contracts import BusUnavailable

_RETRY_AFTER_S = 1.0


class _Level:
    """How full a kind was when it was last measured, and what was added since."""

    __slots__ = ("measured", "measured_at", "measuring", "since")

    def __init__(self) -> None:
        self.measured = 0
        self.since = 0
        self.measured_at = float("-inf")
        self.measuring: asyncio.Task[None] | None = None


class Backlog:
    """Knows without asking, for as long as the kind is far from full.

    A measurement a few times a second is enough: between two of them every message
    of this process counts as one that still waits.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._capacity = office.tuning.capacity
        self._levels: dict[str, _Level] = {}
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Nothing is measured any more."""
        running = [one.measuring for one in self._levels.values() if one.measuring]
        for task in running:
            task.cancel()

        await asyncio.gather(*running, return_exceptions=True)

    def admit(self, kind: str) -> bool:
        """Whether the kind surely takes one more, which is counted then."""
        level = self._levels.get(kind)
        if level is None:
            level = self._levels[kind] = _Level()

        now = self._loop.time()
        if now - level.measured_at > self._office.tuning.backlog_s:
            level.measured_at = now
            self._measuring(kind, level)

        if level.measured + level.since >= self._capacity:
            return False

        level.since += 1
        return True

    async def admit_measured(self, kind: str) -> None:
        """Count one more after a look. Raises BusUnavailable, also if it is full."""
        level = self._levels[kind]
        task = self._measuring(kind, level)
        await asyncio.wait([task])
        if task.cancelled():
            raise BusUnavailable("The bus is closed.", code="draining")

        task.result()
        if level.measured + level.since >= self._capacity:
            raise BusUnavailable(code="bus_backlog", delay=_RETRY_AFTER_S)

        level.since += 1

    def _measuring(self, kind: str, level: _Level) -> asyncio.Task[None]:
        """The measurement that runs, which may be a new one."""
        if level.measuring is None or level.measuring.done():
            level.measuring = self._loop.create_task(
                self._measure(kind, level), name=f"how far {kind} lags"
            )
            level.measuring.add_done_callback(_failed_unheard)

        return level.measuring

    async def _measure(self, kind: str, level: _Level) -> None:
        before = level.since
        level.measured = await self._depth(self._office.keys.work(kind))
        level.since -= before

    async def _depth(self, stream: bytes) -> int:
        """What waits and is pending for the slowest group; a bound while it is low."""
        link = self._office.link
        length = int(await link.call(b"XLEN", stream))
        if length < self._capacity // 2:
            return length

        groups = await positions(link, stream)
        depths = [one.pending + await waiting(link, stream, one) for one in groups]
        return max(depths, default=length)


def _failed_unheard(task: asyncio.Task[None]) -> None:
    """Whoever publishes hears that Redis is gone from the publishing itself."""
    if not task.cancelled():
        task.exception()
