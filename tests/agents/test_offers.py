"""What models may call is looked up once for all who ask at a time."""

from __future__ import annotations

from typing import cast

import anyio
import pytest

from agents.conversation import Offers
from contracts import StoreUnavailable
from contracts.definitions import DefinitionKind, Head
from store import Definitions, Page
from tests.support.clock import FakeClock

TENANT = "t"


class Shelf:
    """Definitions that are counted as they are looked at, and may be out of reach."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_away = False

    async def page(
        self, tenant: str, kind: DefinitionKind, *, limit: int
    ) -> Page[Head]:
        self.looks += 1
        await anyio.lowlevel.checkpoint()
        if self.is_away:
            raise StoreUnavailable

        return Page((), None)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def offers(shelf: Shelf, clock: FakeClock) -> Offers:
    return Offers(cast(Definitions, shelf), clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def _ask_many(offers: Offers) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(offers.of, TENANT)


async def test_many_who_ask_at_once_look_once(
    offers: Offers, shelf: Shelf, clock: FakeClock
) -> None:
    await _ask_many(offers)
    await _ask_many(offers)
    assert shelf.looks == 2, "one look at the workflows, one at the tools"

    await clock.advance(1.0)
    await _ask_many(offers)
    assert shelf.looks == 4


async def test_a_look_that_fails_fails_all_who_wait_and_none_after(
    offers: Offers, shelf: Shelf
) -> None:
    failed = 0

    async def ask() -> None:
        nonlocal failed
        with pytest.raises(StoreUnavailable):
            await offers.of(TENANT)

        failed += 1

    shelf.is_away = True
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask)

    shelf.is_away = False

    assert (failed, shelf.looks) == (50, 1)
    assert await offers.of(TENANT) == ()


async def test_who_gives_up_takes_it_from_nobody(offers: Offers, shelf: Shelf) -> None:
    found: list[object] = []

    async def ask() -> None:
        found.append(await offers.of(TENANT))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        with anyio.move_on_after(0):
            await offers.of(TENANT)

    assert found == [()]
    assert shelf.looks == 2
