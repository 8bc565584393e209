"""Presence: seen from the first beat on, gone with a goodbye, or by its silence."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import anyio
import pytest
from structlog.testing import capture_logs

from agents import Presence
from contracts import Capabilities, StoreUnavailable, stamp
from store import Store, open_store
from tests.support.clock import FakeClock


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://:memory:") as opened:
        yield opened


def about(clock: FakeClock) -> Capabilities:
    now = stamp(clock.now())
    return Capabilities(
        worker="worker-1", roles=("worker",), started_at=now, seen_at=now
    )


async def test_a_process_is_seen_while_it_lives_and_not_after_its_goodbye(
    store: Store,
) -> None:
    clock, running = FakeClock(), 3
    presence = Presence(store.workers, clock, about(clock), running=lambda: running)

    async with presence:
        await clock.advance(5)
        await presence.beat()
        [seen] = await store.workers.alive("")

    assert (seen.worker, seen.running) == ("worker-1", 3)
    assert seen.seen_at == stamp(clock.now())
    assert await store.workers.alive("") == ()


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_goodbye_that_nobody_hears_is_told_and_holds_up_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    async def unheard(_: str) -> None:
        if hangs:
            await anyio.sleep_forever()

        raise StoreUnavailable

    clock = FakeClock()
    with capture_logs() as lines:
        async with Presence(store.workers, clock, about(clock)):
            monkeypatch.setattr(store.workers, "leave", unheard)
            began = time.monotonic()

    assert time.monotonic() - began < 3
    assert [line["event"] for line in lines] == ["process.left_unheard"]
