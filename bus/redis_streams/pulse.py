"""The pulse of a bus: whether Redis still holds what it was given, and is set up well.

Each process leaves a mark, a number that grows, and finds it again a second later.
A mark that is gone or smaller tells that Redis lost data or is an older copy of itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from bus.redis_streams.janitor import Janitor
from bus.redis_streams.office import Office
from contracts import BusUnavailable, TemporaryError

_MARK_KEPT_MS = 86_400_000
"""A mark outlives the process that left it by so much."""

_SETTINGS = {
    "aof_enabled": ("1", "bus_not_durable"),
    "maxmemory_policy": ("noeviction", "bus_evicts"),
}
"""What INFO has to say, and the alarm if it says something else."""


class Pulse:
    """Looks once a second, and rings whenever messages are found to be gone."""

    def __init__(self, office: Office, process: str) -> None:
        self._office = office
        self._mark = office.keys.mark(process)
        self._janitor = Janitor(office)
        self._rings: list[Callable[[], Awaitable[None]]] = []
        self._sent = 0
        self._found = 0
        self._checked = 0
        self._gone = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._beat(), name="bus: pulse"),
            asyncio.create_task(self._ring(), name="bus: rings for what was lost"),
        ]

    def on_loss(self, ring: Callable[[], Awaitable[None]]) -> None:
        """See Bus."""
        self._rings.append(ring)

    def gone(self) -> None:
        """Messages are gone: ring soon, once for all that is noticed until then."""
        self._gone.set()

    async def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            for step in (self._look, self._check_settings, self._janitor.work):
                await self._do(step)

            await anyio.sleep(self._office.tuning.pulse_s)

    async def _do(self, step: Callable[[], Awaitable[None]]) -> None:
        """One step; a full Redis refuses the mark, and is cleaned all the same."""
        try:
            await step()
        except BusUnavailable as error:
            self._office.log.dropped("pulse", error)
        except Exception as error:  # noqa: BLE001  a pulse outlives its errors
            self._office.log.alarm("pulse", error=repr(error))

    async def _look(self) -> None:
        """Find the mark of before, and leave the next one."""
        self._sent += 1
        leave = (b"SET", self._mark, self._sent, b"PX", _MARK_KEPT_MS, b"GET")
        sent, before = self._sent, await self._office.link.call(*leave)
        if int(before or 0) < self._found:
            self._office.log.alarm("bus_lost_data", found=before, left=self._found)
            self.gone()

        self._found = sent

    async def _check_settings(self) -> None:
        """Warn once a connection of what Redis must not do with a bus."""
        link = self._office.link
        if self._checked == link.connections:
            return

        self._checked = link.connections
        said = await self._info()
        for name, (due, alarm) in _SETTINGS.items():
            if said.get(name, due) != due:
                self._office.log.alarm(alarm, setting=name, value=said[name])

    async def _info(self) -> dict[str, str]:
        """What Redis says of itself; nothing where it does not let us ask."""
        try:
            text: bytes = await self._office.link.call(b"INFO")
        except BusUnavailable as error:
            self._office.log.alarm("bus_unchecked", reason=str(error))
            return {}

        lines = (line.partition(":") for line in text.decode().splitlines())
        return {name: value for name, _, value in lines}

    async def _ring(self) -> None:
        while True:
            await self._gone.wait()
            # what is lost at once is noticed bit by bit
            await anyio.sleep(self._office.tuning.pulse_s)
            self._gone.clear()
            for ring in tuple(self._rings):
                await self._rung(ring)

    async def _rung(self, ring: Callable[[], Awaitable[None]]) -> None:
        try:
            await ring()
        except TemporaryError as error:
            # the sweeps find what was not rung for
            self._office.log.alarm("not_rung", reason=error.code)
        except Exception as error:  # noqa: BLE001  the next loss is rung for too
            self._office.log.alarm("not_rung", reason=repr(error))
