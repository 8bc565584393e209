"""The storm: the service is killed at random moments and started again."""

from __future__ import annotations

import random
from typing import NamedTuple

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from contracts import Timestamp, stamp
from sluicegate.clock import SystemClock
from tests.faults.orders import Order
from tests.support.service import ServiceProcess

_WHILE_STARTING = 0.2
_LONGEST_START_S = 1.0
_LONGEST_CALM_S = 0.6


class Kill(NamedTuple):
    """One kill -9: the process was alive before ``began`` and gone after ``ended``."""

    pid: int
    moment: str
    began: Timestamp
    ended: Timestamp


async def storm(
    service: ServiceProcess,
    waiting: MemoryObjectSendStream[Order],
    orders: list[Order],
    kills: int,
    seed: int,
) -> list[Kill]:
    """Hand the orders out in as many portions as there are kills, one before each.

    The service runs when this begins, and again, ready, when it returns.
    """
    dice = random.Random(f"storm {seed}")
    done: list[Kill] = []
    async with waiting:
        for n in range(kills):
            for order in orders[n::kills]:
                await waiting.send(order)

            done.append(await _strike(service, dice))
            await service.start()

    await service.ready()
    return done


async def _strike(service: ServiceProcess, dice: random.Random) -> Kill:
    starting = dice.random() < _WHILE_STARTING
    if starting:
        seconds = dice.uniform(0, _LONGEST_START_S)
    else:
        await service.ready()
        seconds = dice.uniform(0, _LONGEST_CALM_S)

    await anyio.sleep(seconds)
    began = _now()
    pid = await service.kill()
    since = "its start" if starting else "it was ready"
    return Kill(pid, f"{seconds:.3f} s after {since}", began, _now())


def _now() -> Timestamp:
    return stamp(SystemClock().now())
