"""Redis Streams messages per second, beside a pipeline written by hand."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import quantiles
from typing import Any

from redis.asyncio import Redis

from bench.report import report
from bus import Bus, open_bus
from contracts import Envelope, new_id, said, stamp
from contracts.envelope import RunReady
from sluicegate.clock import SystemClock
from tests.support.servers import RedisServer, running

_CLOCK = SystemClock()
_MESSAGES = 20_000
_ROUNDS = 4
_PART = _MESSAGES // _ROUNDS
_AT_ONCE = 64
_BATCH = 100
_SINGLE = 2_000
_WHAT = "redis streams"


async def measure() -> None:
    """Print the rates of the bus and of batches of 100 on one and the same server.

    They take turns, so that whatever else the machine does slows both alike.
    """
    cases = {
        "by hand, batches of 100: write": _write_by_hand,
        "publish, 64 at once": _publish_by_bus,
        "by hand, batches of 100: both": _both_by_hand,
        "end to end": _both_by_bus,
    }
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        async with running(server):
            seconds = dict.fromkeys(cases, 0.0)
            for _ in range(_ROUNDS):
                for case, run in cases.items():
                    seconds[case] += await run(server.url)

            _report({case: _MESSAGES / took for case, took in seconds.items()})
            parts = quantiles(await _one_at_a_time(server.url), n=100)
            report(_WHAT, "one at a time", parts[49], "ms", p99=parts[98])


def _report(rates: dict[str, float]) -> None:
    (written, write), (published, publish), (read, both), (handled, end) = rates.items()
    report(_WHAT, written, write, "per second")
    report(_WHAT, published, publish, "per second", of_batches=publish / write)
    report(_WHAT, read, both, "per second")
    report(_WHAT, handled, end, "per second", of_batches=end / both)


def _opened(url: str) -> AbstractAsyncContextManager[Bus]:
    key, namespace = secrets.token_bytes(32), new_id("msg")
    return open_bus(url, _CLOCK, key=key, namespace=namespace)


def _message() -> Envelope:
    at = stamp(_CLOCK.now())
    return said(RunReady(run_id=new_id("run")), by="bench", tenant="default", at=at)


async def _publish_by_bus(url: str) -> float:
    """Seconds to publish while nobody reads; never into a full bus."""
    messages = [_message() for _ in range(_PART)]
    async with _opened(url) as bus:
        await bus.publish(_message())
        began = time.perf_counter()
        await _publish(bus, messages)
        return time.perf_counter() - began


async def _publish(bus: Bus, messages: list[Envelope]) -> None:
    async def some(part: list[Envelope]) -> None:
        for message in part:
            await bus.publish(message)

    await asyncio.gather(*(some(messages[n::_AT_ONCE]) for n in range(_AT_ONCE)))


class _Counting:
    """A handler that knows when it has seen everything."""

    def __init__(self, due: int) -> None:
        self._due = due
        self.all = asyncio.Event()

    async def __call__(self, _: Envelope) -> None:
        self._due -= 1
        if not self._due:
            self.all.set()


async def _both_by_bus(url: str) -> float:
    """Seconds from the first publishing to the end of the last handler."""
    messages = [_message() for _ in range(_PART)]
    counting = _Counting(_PART)
    async with _opened(url) as bus:
        bus.subscribe("run_ready", "bench", counting, slots=_AT_ONCE)
        began = time.perf_counter()
        await _publish(bus, messages)
        await counting.all.wait()
        return time.perf_counter() - began


async def _one_at_a_time(url: str) -> list[float]:
    """Milliseconds from publishing a message to its handler, on an idle bus."""
    arrived, times = asyncio.Event(), list[float]()

    async def handler(_: Envelope) -> None:
        arrived.set()

    async with _opened(url) as bus:
        bus.subscribe("run_ready", "bench", handler)
        for _ in range(_SINGLE):
            arrived.clear()
            began = time.perf_counter()
            await bus.publish(_message())
            await arrived.wait()
            times.append((time.perf_counter() - began) * 1_000)

    return times[_SINGLE // 10 :]


async def _write_by_hand(url: str) -> float:
    """Seconds to write batches, with nothing but the driver."""
    async with Redis.from_url(url, protocol=2) as redis:
        frames, stream = _frames(), new_id("msg")
        began = time.perf_counter()
        for _ in range(_PART // _BATCH):
            await _write(redis, stream, frames)

        return time.perf_counter() - began


async def _both_by_hand(url: str) -> float:
    """Seconds to write, read and acknowledge batches, with nothing but the driver."""
    async with Redis.from_url(url, protocol=2) as redis:
        frames, stream = _frames(), new_id("msg")
        await redis.xgroup_create(stream, "bench", "0", mkstream=True)
        began = time.perf_counter()
        for _ in range(_PART // _BATCH):
            await _write(redis, stream, frames)
            await _read(redis, stream)

        return time.perf_counter() - began


def _frames() -> list[bytes]:
    return [_message().model_dump_json().encode() for _ in range(_BATCH)]


async def _write(redis: Redis, stream: str, frames: list[bytes]) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for frame in frames:
            pipeline.xadd(stream, {"m": frame})

        await pipeline.execute()


async def _read(redis: Redis, stream: str) -> None:
    reply: Any = await redis.xreadgroup("bench", "one", {stream: ">"}, count=_BATCH)
    entries = [entry for entry, _ in reply[0][1]]
    await redis.xack(stream, "bench", *entries)
