"""What the tests stand on: a clock turned by hand, and no way to another machine."""

from __future__ import annotations

import socket
from datetime import timedelta

import anyio
import pytest
from anyio.abc import TaskStatus

from contracts import Clock
from tests.support.clock import FakeClock


def test_a_test_cannot_reach_another_machine() -> None:
    with socket.socket() as door, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        door.connect(("192.0.2.1", 80))

    with pytest.raises(RuntimeError, match=r"elsewhere\.example"):
        socket.getaddrinfo("elsewhere.example", 80)


async def test_a_test_reaches_its_own_server_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.getsockname()[1]):
            pass


async def test_a_fake_clock_stands_still_until_it_is_turned() -> None:
    clock: Clock = FakeClock()
    before = clock.now(), clock.monotonic()
    await clock.sleep(0)

    assert (clock.now(), clock.monotonic()) == before


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock = FakeClock()
    start = clock.now()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleeper, "late", 3)
        tasks.start_soon(sleeper, "often", 1, 1, 1)
        tasks.start_soon(sleeper, "early", 1)
        await clock.advance(2.5)

        assert woken == [("often", 1), ("early", 1), ("often", 2)]
        await clock.advance(0.5)

    assert woken[3:] == [("late", 3), ("often", 3)]
    assert clock.now() - start == timedelta(seconds=3)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()

    async def sleeper(*, task_status: TaskStatus[anyio.CancelScope]) -> None:
        with anyio.CancelScope() as scope:
            task_status.started(scope)
            await clock.sleep(60)

    async with anyio.create_task_group() as tasks:
        scope = await tasks.start(sleeper)
        await clock.advance(1)

        assert clock.sleepers == 1
        scope.cancel()

    assert clock.sleepers == 0
