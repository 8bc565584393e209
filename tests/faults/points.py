"""The stage of the failpoints: each strikes once with kill and once with stop.

For each an order is placed, so that the process that passes the point dies there, or
stands still for longer than its lease; the others, and its successor, go on.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import anyio
from anyio.abc import TaskGroup
from redis.asyncio import Redis

from contracts import Timestamp
from tests.faults.failpoints import AT_START, OF_CALLS, OF_POISON, failpoints
from tests.faults.orders import Order
from tests.faults.processes import plan_of
from tests.faults.storm import Fault, now
from tests.faults.violations import Violation
from tests.faults.writers import Writings, read_writings
from tests.support.api import Api
from tests.support.deployment import (
    DATABASE,
    Deployment,
    Role,
    RoleProcess,
    open_deployment,
    open_doors,
)
from tests.support.polling import until
from tests.support.service import says_ready
from tests.support.sink import Sink

LEASE_S = 2.0
SWEEP_S = 0.5
_STOP_S = LEASE_S * 5 / 3 + 2 * SWEEP_S
_STRUCK_S = 20.0
_READY_S = 30.0
_SETTINGS = {
    "RUNS__LEASE_S": str(LEASE_S),
    "RUNS__SWEEP_S": str(SWEEP_S),
}
_MANY: dict[str, Any] = {
    "gateways": 2,
    "coordinators": 2,
    "workers": 3,
    "links": frozenset(),
}
_POISONED = b"{sluicegate}:work:verdict"


class Case(NamedTuple):
    """One failpoint and what happens there."""

    point: str
    role: Role
    deed: str

    @property
    def setting(self) -> str:
        """As it is armed."""
        return f"{self.point}:{self.deed}"


@cache
def cases() -> Sequence[Case]:
    """Every failpoint that is passed while the deployment works, with each deed.

    Roles and deeds take turns, so that most of a role is there when one of it is hit.
    """
    points = [one for one in failpoints().items() if one[0] not in AT_START]
    groups: dict[tuple[Role, str], list[Case]] = defaultdict(list)
    for (point, role), deed in product(points, ("kill", "stop")):
        groups[role, deed].append(Case(point, role, deed))

    turns = [
        ((number + 0.5) / len(group), case)
        for group in groups.values()
        for number, case in enumerate(group)
    ]
    return [case for _, case in sorted(turns)]


def orders_of(seed: int) -> list[Order]:
    """One order for each case, under its name."""
    return [
        Order(f"{seed}-{case.point}-{case.deed}", _workflow_for(case), number)
        for number, case in enumerate(cases())
    ]


def _workflow_for(case: Case) -> str:
    """One whose run passes the point."""
    if case.point == "B18":
        return "linger"  # lasts until its claim is renewed

    stops_in_call = case.point in OF_CALLS and case.deed == "stop"
    return "take" if stops_in_call else "pay"


class PointsStage:
    """Arms one failpoint after the other, and sees it struck."""

    def __init__(self, deployment: Deployment, file: Path, lasting: TaskGroup) -> None:
        self.faults: list[Fault] = []
        self.violations: list[Violation] = []
        self._deployment = deployment
        self._file = file
        self._lasting = lasting
        self._left = [*cases()]
        self._deaths = 0
        self._held: set[RoleProcess] = set()
        self._armed_at = now()

    async def begin(self) -> None:
        """See Stage."""
        await self._arm()

    async def strike(self, dice: random.Random) -> None:
        """See Stage; nothing is left to the dice."""
        case = self._left.pop(0)
        if case.point in OF_POISON:
            await self._poison()

        if not await until(self._is_struck, within_s=_STRUCK_S):
            self._miss(case, "was never reached")
        elif case.deed == "kill":
            await self._died(case)
        else:
            await self._stopped(case)

        if self._left:
            await self._arm()

    async def _arm(self) -> None:
        """Arm the next failpoint, once somebody can pass it."""
        case = self._left[0]
        await until(partial(self._is_manned, case.role), within_s=_READY_S)
        self._deaths, self._armed_at = self._died_so_far(), now()
        self._file.write_text(case.setting, encoding="utf-8")

    async def calm(self) -> None:
        """See Stage."""
        await until(self._none_is_held, within_s=_READY_S)
        await self._deployment.ready()

    async def writings(self) -> Writings:
        """See Stage."""
        return await read_writings(self._deployment.mongo, DATABASE)

    async def _died(self, case: Case) -> None:
        async def died() -> bool:
            return self._died_so_far() > self._deaths

        if await until(died, within_s=_READY_S):
            self.faults.append(Fault(case.setting, "at once", self._armed_at, now()))
        else:
            self._miss(case, "killed nothing")

    async def _stopped(self, case: Case) -> None:
        if not await until(self._is_new_one_held, within_s=_READY_S):
            self._miss(case, "held nothing up")
            return

        for process in self._standing() - self._held:
            self._held.add(process)
            go_on = partial(self._go_on, case, process, self._armed_at)
            self._lasting.start_soon(go_on, name=f"{process.name} stands still")

    async def _go_on(self, case: Case, process: RoleProcess, began: Timestamp) -> None:
        await anyio.sleep(_STOP_S)
        process.child.go_on()
        self._held.discard(process)
        moment = f"{process.name} for {_STOP_S:.1f} s"
        self.faults.append(Fault(case.setting, moment, began, now()))

    def _miss(self, case: Case, told: str) -> None:
        self._file.unlink(missing_ok=True)
        self.violations.append(Violation("wrong", case.setting, told))

    async def _poison(self) -> None:
        async with Redis(port=self._deployment.redis.port) as client:
            await client.xadd(_POISONED, {"m": "poison"})

    def _died_so_far(self) -> int:
        return sum(len(one.ends) for one in self._deployment.processes.values())

    def _standing(self) -> set[RoleProcess]:
        everybody = self._deployment.processes.values()
        return {process for process in everybody if process.is_held()}

    async def _is_struck(self) -> bool:
        return not self._file.exists()

    async def _is_new_one_held(self) -> bool:
        return bool(self._standing() - self._held)

    async def _none_is_held(self) -> bool:
        return not self._held

    async def _is_manned(self, role: Role) -> bool:
        """Whether somebody of a role is there to be hit."""
        async with aiohttp.ClientSession() as session:
            for process in self._deployment.of(role):
                is_able = process.child.runs and not process.is_held()
                if is_able and await says_ready(session, process.url):
                    return True

        return False


@asynccontextmanager
async def points_stage(
    folder: Path, sink: Sink
) -> AsyncIterator[tuple[PointsStage, Api]]:
    """The deployment with its first failpoint armed, after one that struck at start."""
    file = folder / "failpoint"
    file.write_text("B22:kill", encoding="utf-8")
    plan = replace(plan_of(sink, **_SETTINGS, FAILPOINT=f"@{file}"), **_MANY)
    async with (
        open_deployment(folder, plan) as deployment,
        open_doors(deployment) as api,
        anyio.create_task_group() as lasting,
    ):
        stage = PointsStage(deployment, file, lasting)
        if file.exists():
            stage.violations.append(Violation("wrong", "B22", "was never reached"))

        yield stage, api
        lasting.cancel_scope.cancel()
