"""The one place where everything is put together: from settings to a live process.

A process has roles: gateway, coordinator, worker. Embedded it has all of them; on
Redis and MongoDB any, in any number of processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bus import Bus
from contracts import Clock, Policy
from sluicegate.config import Settings, load_policy
from sluicegate.roles import ALL, Roles
from sluicegate.wiring.chores import start_chores
from sluicegate.wiring.coordinator import start_coordinator
from sluicegate.wiring.first_key import make_first_key
from sluicegate.wiring.gateway import open_door, refuse_open_doors
from sluicegate.wiring.parts import Parts, open_parts
from sluicegate.wiring.worker import start_worker
from store import Store


@dataclass(frozen=True, slots=True)
class Service:
    """A running process: where it listens, and what it was made of."""

    url: str
    store: Store
    bus: Bus
    first_start: bool
    data_dir: Path


@asynccontextmanager
async def open_service(
    settings: Settings,
    clock: Clock,
    load: Callable[[], Policy] | None = None,
    *,
    roles: Roles = ALL,
) -> AsyncIterator[Service]:
    """Start everything bottom-up; at the end of the context stop it top-down.

    ``load`` reads the policy, now and at each reload; by default it is the settings'.

    Raises ConfigurationError for what cannot be started, StoreUnavailable if the
    store does not answer.
    """
    refuse_open_doors(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as life:
        loading = load or partial(load_policy, settings)
        parts = await open_parts(settings, clock, loading, roles, life)
        first = await make_first_key(parts)
        await _start(parts, life)
        url = await open_door(parts, life)
        yield Service(url, parts.store, parts.bus, first, settings.data_dir)


async def _start(parts: Parts, life: AsyncExitStack) -> None:
    """Start what acts, then what judges; the doors come last, and go first."""
    worker = None
    if "worker" in parts.roles:
        worker = await start_worker(parts, life)

    if "coordinator" in parts.roles:
        await start_coordinator(parts, life)

    await start_chores(parts, worker, life)
