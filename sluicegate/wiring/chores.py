"""What every process does by itself: it tells that it lives, follows, forgets."""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack
from functools import partial

from agents import Activation, Chore, Presence
from contracts import Capabilities, stamp
from sluicegate import __version__
from sluicegate.wiring.parts import Parts
from sluicegate.wiring.worker import Worker

_HOUR_S = 3_600.0


async def start_chores(
    parts: Parts, worker: Worker | None, life: AsyncExitStack
) -> None:
    """Let the process be seen, follow the policy, and forget old Idempotency-Keys.

    Raises StoreUnavailable.
    """
    presence = Presence(
        parts.store.workers,
        parts.clock,
        _about(parts, worker),
        running=lambda: worker.engine.running if worker else 0,
    )
    await life.enter_async_context(presence)
    await life.enter_async_context(
        Activation(
            parts.bus,
            parts.clock,
            name="process",
            chores=(
                *presence.chores(),
                *parts.policies.chores(),
                Chore("idempotency keys", _HOUR_S, partial(_forget_old_keys, parts)),
            ),
        )
    )


async def _forget_old_keys(parts: Parts) -> None:
    """Remove Idempotency-Keys whose time is over; two at once are no harm.

    Raises StoreUnavailable.
    """
    await parts.store.idempotency.expire(stamp(parts.clock.now()))


def _about(parts: Parts, worker: Worker | None) -> Capabilities:
    now = stamp(parts.clock.now())
    return Capabilities(
        worker=worker.engine.owner if worker else parts.name,
        roles=tuple(sorted(parts.roles)),
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        python_tools=worker.tools.python_tools if worker else (),
        model=worker.model if worker else None,
        slots=parts.settings.runs.max_parallel if worker else 0,
        started_at=now,
        seen_at=now,
    )
