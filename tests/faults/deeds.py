"""What can be done to a deployment, how likely each deed is, and how long it lasts."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio

from tests.support.deployment import Deployment, Role, ServerName
from tests.support.server_faults import (
    flush,
    kill_connections,
    restart,
    step_down,
    wipe,
)

LINKS: frozenset[tuple[Role, ServerName]] = frozenset(
    {
        ("gateway", "redis"),
        ("coordinator", "redis"),
        ("worker", "redis"),
        ("worker", "mongo"),
    }
)
"""The links that deeds disturb, each with a proxy of its own."""

_BACK_AFTER_S = (0.5, 2.0)
_DARK_S = (3.0, 6.0)


class Deed(NamedTuple):
    """One kind of fault."""

    weight: int
    what: str
    targets: str
    """A role, a server, or a link as ``role-server``."""

    act: Callable[[Deployment, str, float], Awaitable[object]]
    """Does it to a target; ``seconds`` for those that last. Returns when it is over."""

    seconds: tuple[float, float] = (0.0, 0.0)


def _kill(deployment: Deployment, name: str, _: float) -> Awaitable[int]:
    return deployment.kill(name)


async def _stop(deployment: Deployment, name: str, seconds: float) -> None:
    with deployment.child(name).held():
        await anyio.sleep(seconds)


async def _step_down(deployment: Deployment, _: str, seconds: float) -> None:
    await step_down(deployment.mongo, round(seconds))
    await anyio.sleep(seconds)


async def _black_hole(deployment: Deployment, link: str, seconds: float) -> None:
    proxy = deployment.link(link)
    proxy.black_hole()
    try:
        await anyio.sleep(seconds)
    finally:
        proxy.heal()


def _reset(deployment: Deployment, link: str, _: float) -> Awaitable[int]:
    return deployment.link(link).reset()


async def _drop_reply(deployment: Deployment, link: str, _: float) -> None:
    deployment.link(link).drop_replies()


def deeds(longer_than_lease_s: float) -> Sequence[Deed]:
    """Every deed; what is held up is held up for longer than a lease."""
    longer = (longer_than_lease_s, longer_than_lease_s + 1.0)
    return (
        Deed(12, "kill -9", "worker", _kill),
        Deed(6, "kill -9", "gateway", _kill),
        Deed(6, "kill -9", "coordinator", _kill),
        Deed(4, "stop longer than the lease", "worker", _stop, longer),
        Deed(2, "stop for a moment", "worker", _stop, _BACK_AFTER_S),
        Deed(1, "stop", "coordinator", _stop, _DARK_S),
        Deed(3, "kill -9 and start", "redis", lambda d, *_: restart(d.redis)),
        Deed(2, "FLUSHALL", "redis", lambda d, *_: flush(d.redis)),
        Deed(2, "wipe and start", "redis", lambda d, *_: wipe(d.redis)),
        Deed(2, "CLIENT KILL", "redis", lambda d, *_: kill_connections(d.redis)),
        Deed(1, "stop", "redis", _stop, _BACK_AFTER_S),
        Deed(2, "kill -9 and start", "mongo", lambda d, *_: restart(d.mongo)),
        Deed(1, "step down", "mongo", _step_down, (1.0, 2.0)),
        Deed(2, "black hole", "worker-redis", _black_hole, _DARK_S),
        Deed(2, "black hole", "worker-mongo", _black_hole, longer),
        Deed(1, "black hole", "gateway-redis", _black_hole, _DARK_S),
        Deed(1, "black hole", "coordinator-redis", _black_hole, _DARK_S),
        Deed(1, "reset", "worker-redis", _reset),
        Deed(1, "reset", "worker-mongo", _reset),
        Deed(1, "reset", "gateway-redis", _reset),
        Deed(2, "carry out and drop the reply", "gateway-redis", _drop_reply),
        Deed(2, "carry out and drop the reply", "coordinator-redis", _drop_reply),
        Deed(2, "carry out and drop the reply", "worker-mongo", _drop_reply),
    )


def drawn(dice: random.Random, known: Sequence[Deed]) -> tuple[Deed, float]:
    """A deed, by its weight, and how long it lasts."""
    (deed,) = dice.choices(known, [one.weight for one in known])
    return deed, dice.uniform(*deed.seconds)
