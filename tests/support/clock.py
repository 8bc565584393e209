"""A clock that a test turns by hand."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

_START = datetime(2026, 11, 21, tzinfo=UTC)
_TURNS = 20
"""How often others may run after a sleeper woke, before time goes on."""


class FakeClock:
    """Clock whose time stands still until ``advance``.

    Sleepers wake in the order of their deadlines, equal ones in the order in which
    they went to sleep, each at exactly its deadline.
    """

    def __init__(self, start: datetime = _START) -> None:
        """``start`` is the first ``now``, aware, in UTC."""
        self._start = start
        self._passed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, anyio.Event]] = []

    def now(self) -> datetime:
        """See Clock."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """See Clock; the seconds advanced so far."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        if seconds <= 0:
            await checkpoint()
            return

        sleeper = (self._passed + seconds, next(self._order), anyio.Event())
        heapq.heappush(self._sleepers, sleeper)
        try:
            await sleeper[2].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep now."""
        return len(self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, waking whoever is due on the way.

        Who goes to sleep again on the way and is due before the end wakes again.
        """
        end = self._passed + seconds
        await _let_others_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._passed, _, waking = heapq.heappop(self._sleepers)
            waking.set()
            await _let_others_run()

        self._passed = end
        await _let_others_run()


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await checkpoint()
