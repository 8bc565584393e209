"""The storm: faults at random moments, while orders are placed."""

from __future__ import annotations

import random
from typing import NamedTuple, Protocol

from anyio.streams.memory import MemoryObjectSendStream

from contracts import Timestamp, stamp
from sluicegate.clock import SystemClock
from tests.faults.orders import Order
from tests.faults.violations import Violation
from tests.faults.writers import Writings


class Fault(NamedTuple):
    """One fault: it was not there before ``began``, and over after ``ended``."""

    what: str
    moment: str
    began: Timestamp
    ended: Timestamp


class Stage(Protocol):
    """What the faults strike: it runs, and goes on after each of them."""

    faults: list[Fault]
    """What happened so far; a fault that lasts is told when it is over."""

    violations: list[Violation]
    """What the stage itself found wrong."""

    async def begin(self) -> None:
        """Be ready to strike; called once, when the workflows are there."""

    async def strike(self, dice: random.Random) -> None:
        """Let a random time pass and one fault begin, both as the dice say."""

    async def calm(self) -> None:
        """Return when no fault lasts and everything is ready. Raises TimeoutError."""

    async def writings(self) -> Writings:
        """Who wrote the logs of runs; empty where nobody else can write."""


async def storm(
    stage: Stage,
    waiting: MemoryObjectSendStream[Order],
    orders: list[Order],
    faults: int,
    seed: int,
) -> None:
    """Hand the orders out in as many portions as there are faults, one before each.

    Everything is ready again when this returns.
    """
    dice = random.Random(f"storm {seed}")
    async with waiting:
        for n in range(faults):
            for order in orders[n::faults]:
                await waiting.send(order)

            await stage.strike(dice)

    await stage.calm()


def now() -> Timestamp:
    """The time of this machine, as events tell it."""
    return stamp(SystemClock().now())
