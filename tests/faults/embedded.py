"""The stage of the embedded service: one process, which is killed again and again."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tests.faults.storm import Fault, now
from tests.faults.violations import Violation
from tests.faults.writers import Writings
from tests.support.api import Api, open_api
from tests.support.service import ServiceProcess
from tests.support.sink import Sink

_WHILE_STARTING = 0.2
_LONGEST_START_S = 1.0
_LONGEST_CALM_S = 0.6


class EmbeddedStage:
    """Kills the service while it works, or while it starts, and starts it again."""

    def __init__(self, service: ServiceProcess) -> None:
        self.faults: list[Fault] = []
        self.violations: list[Violation] = []
        self._service = service

    async def begin(self) -> None:
        """See Stage; nothing is due."""

    async def strike(self, dice: random.Random) -> None:
        """See Stage."""
        starting = dice.random() < _WHILE_STARTING
        if starting:
            seconds = dice.uniform(0, _LONGEST_START_S)
        else:
            await self._service.ready()
            seconds = dice.uniform(0, _LONGEST_CALM_S)

        await anyio.sleep(seconds)
        began = now()
        pid = await self._service.kill()
        since = "its start" if starting else "it was ready"
        moment = f"{seconds:.3f} s after {since}"
        self.faults.append(Fault(f"kill -9 {pid}", moment, began, now()))
        await self._service.start()

    async def calm(self) -> None:
        """See Stage."""
        await self._service.ready()

    async def writings(self) -> Writings:
        """See Stage."""
        return {}


@asynccontextmanager
async def embedded_stage(
    folder: Path, sink: Sink
) -> AsyncIterator[tuple[EmbeddedStage, Api]]:
    """The service, ready, and its API; killed at the end."""
    service = ServiceProcess(
        folder,
        TOOLS__HTTP__ALLOW_PRIVATE='["127.0.0.1"]',
        TOOLS__HTTP__PORTS=f"[{sink.port}]",
    )
    try:
        await service.start()
        await service.ready()
        async with open_api(service.url, service.key) as api:
            yield EmbeddedStage(service), api
    finally:
        await service.kill()
