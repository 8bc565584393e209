"""Alarms: one task that rings for any number of runs at their times."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

import anyio

from contracts import Clock

_IDLE_S = 3_600.0

Key = tuple[str, str]
"""Tenant and run."""


class Alarms:
    """Rings for runs at their times; a lost alarm is found by the sweep.

    Guarantees: never early by this process's clock; of a run only the earliest alarm
    is kept.
    """

    def __init__(self, clock: Clock, ring: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._heap: list[tuple[float, Key]] = []
        self._times: dict[Key, float] = {}
        self._nap = anyio.CancelScope()

    def set(self, tenant: str, run_id: str, seconds: float) -> None:
        """Ring after so many seconds, unless it rings earlier anyway."""
        key, when = (tenant, run_id), self._clock.monotonic() + seconds
        if when >= self._times.get(key, float("inf")):
            return

        self._times[key] = when
        heappush(self._heap, (when, key))
        if self._heap[0][1] == key:
            self._nap.cancel()

    async def run(self) -> None:
        """Ring, until cancelled."""
        while True:
            self._nap = anyio.CancelScope()
            with self._nap:
                await self._clock.sleep(self._seconds())

            self._ring_due()

    def _seconds(self) -> float:
        if not self._heap:
            return _IDLE_S

        return max(0.0, self._heap[0][0] - self._clock.monotonic())

    def _ring_due(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            when, key = heappop(self._heap)
            if self._times.get(key) == when:
                del self._times[key]
                self._ring(*key)
