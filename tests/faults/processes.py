"""The stage of many processes: each role, the bus, the store and the links suffer."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from tests.faults.deeds import LINKS, Deed, deeds, drawn
from tests.faults.storm import Fault, now
from tests.faults.violations import Violation
from tests.faults.writers import Writings, read_writings
from tests.support.api import Api
from tests.support.deployment import (
    DATABASE,
    Deployment,
    Plan,
    open_deployment,
    open_doors,
)
from tests.support.sink import Sink

LEASE_S = 5.0
SWEEP_S = 1.0
LONGER_THAN_LEASE_S = LEASE_S * 5 / 3 + 2 * SWEEP_S
"""Claim, grace and sweeps: a worker that is silent for so long has lost its runs."""

CLOCK_SKEW_S = 1.0
"""Shorter than what holds a process up: what is used too late must be refused."""

_LONGEST_CALM_S = 1.5
_OVER_S = 60.0


class ProcessesStage:
    """Faults that last go on beside the next ones; no target suffers two at once."""

    def __init__(self, deployment: Deployment, lasting: TaskGroup) -> None:
        self.faults: list[Fault] = []
        self.violations: list[Violation] = []
        self._deployment = deployment
        self._lasting = lasting
        self._over: dict[str, anyio.Event] = {}
        """Of each target that suffered, whether its latest fault is over."""

        self._deeds = deeds(LONGER_THAN_LEASE_S)

    async def begin(self) -> None:
        """See Stage; nothing is due."""

    async def strike(self, dice: random.Random) -> None:
        """See Stage."""
        pause = dice.uniform(0, _LONGEST_CALM_S)
        deed, seconds = drawn(dice, self._deeds)
        target = dice.choice(self._targets(deed))
        await anyio.sleep(pause)
        if target in self._over:
            await self._over[target].wait()

        self._over[target] = anyio.Event()
        act = partial(self._suffer, deed, target, seconds)
        self._lasting.start_soon(act, name=f"{deed.what} {target}")

    async def calm(self) -> None:
        """See Stage."""
        with anyio.fail_after(_OVER_S):
            for over in self._over.values():
                await over.wait()

        await self._deployment.ready()

    async def writings(self) -> Writings:
        """See Stage."""
        return await read_writings(self._deployment.mongo, DATABASE)

    def _targets(self, deed: Deed) -> list[str]:
        everybody = self._deployment.processes.values()
        named = [one.name for one in everybody if one.role == deed.targets]
        return named or [deed.targets]

    async def _suffer(self, deed: Deed, target: str, seconds: float) -> None:
        began = now()
        try:
            await deed.act(self._deployment, target, seconds)
        finally:
            moment = f"for {seconds:.1f} s" if seconds else "at once"
            self.faults.append(Fault(f"{deed.what} {target}", moment, began, now()))
            self._over[target].set()


def plan_of(sink: Sink, **settings: str) -> Plan:
    """Two of each role, with a short lease, and links that can be disturbed."""
    return Plan(
        gateways=2,
        coordinators=2,
        workers=2,
        links=LINKS,
        settings={
            "TOOLS__HTTP__ALLOW_PRIVATE": '["127.0.0.1"]',
            "TOOLS__HTTP__PORTS": f"[{sink.port}]",
            "RUNS__LEASE_S": str(LEASE_S),
            "RUNS__SWEEP_S": str(SWEEP_S),
            "GATE__CLOCK_SKEW_S": str(CLOCK_SKEW_S),
            **settings,
        },
    )


@asynccontextmanager
async def processes_stage(
    folder: Path, sink: Sink, seed: int
) -> AsyncIterator[tuple[ProcessesStage, Api]]:
    """The deployment, ready, and the API of its gateways; gone at the end."""
    async with (
        open_deployment(folder, plan_of(sink), seed) as deployment,
        open_doors(deployment) as api,
        anyio.create_task_group() as lasting,
    ):
        yield ProcessesStage(deployment, lasting), api
        lasting.cancel_scope.cancel()
