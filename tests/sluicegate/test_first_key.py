"""The first key: a fresh store gets one, whoever starts or dies meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from agents.coordinator import PolicyBook
from bus import Bus, open_bus
from contracts import Policy, later, stamp
from sluicegate.roles import roles_of
from sluicegate.wiring.first_key import make_first_key
from sluicegate.wiring.parts import TENANT, Parts
from store import Store, open_store
from tests.support.clock import FakeClock
from tests.support.serving import settings_at

REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://:memory:") as opened:
        yield opened


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    async with open_bus("memory://", FakeClock()) as opened:
        yield opened


def gateway(
    folder: Path, store: Store, bus: Bus, clock: FakeClock, *, url: str = REDIS
) -> Parts:
    """A gateway before it listens."""
    folder.mkdir(exist_ok=True)
    return Parts(
        settings=settings_at(folder, bus={"url": url}),
        clock=clock,
        roles=roles_of("gateway"),
        name=folder.name,
        store=store,
        bus=bus,
        policies=PolicyBook(Policy, store, clock),
    )


async def taken(store: Store, clock: FakeClock) -> None:
    """A process that began to make the first key, and died of it."""
    now = stamp(clock.now())
    assert await store.workers.lease("first-key", "dead", now=now, until=later(now, 15))


async def keys_in(store: Store) -> int:
    return len((await store.keys.page(TENANT, limit=9)).items)


async def test_gateways_that_start_at_once_make_one_key(
    tmp_path: Path, store: Store, bus: Bus
) -> None:
    clock, made = FakeClock(), list[bool]()
    starting = [gateway(tmp_path / name, store, bus, clock) for name in ("a", "b", "c")]

    async def start(parts: Parts) -> None:
        made.append(await make_first_key(parts))

    async with anyio.create_task_group() as tasks:
        for parts in starting:
            tasks.start_soon(start, parts)

        while len(made) < len(starting):
            await clock.advance(1)

    assert sorted(made) == [False, False, True]
    assert await keys_in(store) == 1
    assert len(_kept(tmp_path)) == 1


async def test_a_first_key_whose_maker_died_is_made_by_another(
    tmp_path: Path, store: Store, bus: Bus
) -> None:
    clock = FakeClock()
    await taken(store, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make_first_key, gateway(tmp_path, store, bus, clock))
        with anyio.fail_after(10):
            while not await keys_in(store):
                await clock.advance(1)

    assert clock.monotonic() >= 15
    assert (tmp_path / "admin.key").exists()


async def test_a_process_alone_waits_for_nobody_to_make_the_key(
    tmp_path: Path, store: Store, bus: Bus
) -> None:
    clock = FakeClock()
    await taken(store, clock)

    made = await make_first_key(gateway(tmp_path, store, bus, clock, url="memory://"))

    assert made
    assert await keys_in(store) == 1


def _kept(folder: Path) -> list[Path]:
    """The files in which a process keeps the key that it made."""
    return list(folder.glob("*/admin.key"))
