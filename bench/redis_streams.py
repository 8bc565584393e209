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
_AT_ONCE = 64
_BATCH = 100
_SINGLE = 2_000
_CAPACITY_SHARE = 5_000
_WHAT = "redis streams"


async def measure() -> None:
    """Print the rates of the bus and of batches of 100 on one and the same server."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        async with running(server):
            written, handled = await _by_hand(server.url)
            await _by_bus(server.url, written, handled)


async def _by_bus(url: str, written: float, handled: float) -> None:
    rate = await _publish_rate(url)
    report(_WHAT, "publish, 64 at once", rate, "per second", of_batches=rate / written)
    async with _opened(url) as bus:
        rate = await _end_to_end(bus)
        report(_WHAT, "end to end", rate, "per second", of_batches=rate / handled)

    async with _opened(url) as bus:
        parts = quantiles(await _one_at_a_time(bus), n=100)
        report(_WHAT, "one at a time", parts[49], "ms", p99=parts[98])


def _opened(url: str) -> AbstractAsyncContextManager[Bus]:
    key, namespace = secrets.token_bytes(32), new_id("msg")
    return open_bus(url, _CLOCK, key=key, namespace=namespace)


def _message() -> Envelope:
    at = stamp(_CLOCK.now())
    return said(RunReady(run_id=new_id("run")), by="bench", tenant="default", at=at)


async def _publish_rate(url: str) -> float:
    """Messages taken per second while nobody reads; never into a full bus."""
    seconds = 0.0
    for _ in range(_MESSAGES // _CAPACITY_SHARE):
        messages = [_message() for _ in range(_CAPACITY_SHARE)]
        async with _opened(url) as bus:
            await bus.publish(_message())
            began = time.perf_counter()
            await _publish(bus, messages)
            seconds += time.perf_counter() - began

    return _MESSAGES / seconds


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


async def _end_to_end(bus: Bus) -> float:
    """Messages per second from publishing to the end of the handler."""
    messages = [_message() for _ in range(_MESSAGES)]
    counting = _Counting(_MESSAGES)
    bus.subscribe("run_ready", "bench", counting, slots=_AT_ONCE)
    began = time.perf_counter()
    await _publish(bus, messages)
    await counting.all.wait()
    return _MESSAGES / (time.perf_counter() - began)


async def _one_at_a_time(bus: Bus) -> list[float]:
    """Milliseconds from publishing a message to its handler, on an idle bus."""
    arrived = asyncio.Event()

    async def handler(_: Envelope) -> None:
        arrived.set()

    bus.subscribe("run_ready", "bench", handler)
    times = []
    for _ in range(_SINGLE):
        arrived.clear()
        began = time.perf_counter()
        await bus.publish(_message())
        await arrived.wait()
        times.append((time.perf_counter() - began) * 1_000)

    return times[_SINGLE // 10 :]


async def _by_hand(url: str) -> tuple[float, float]:
    """Writes, and writes and reads per second, of batches of 100 without a bus."""
    async with Redis.from_url(url, protocol=2) as redis:
        frames = [_message().model_dump_json().encode() for _ in range(_BATCH)]
        began = time.perf_counter()
        for _ in range(_MESSAGES // _BATCH):
            await _write(redis, "by hand: write", frames)

        written = _MESSAGES / (time.perf_counter() - began)
        await redis.xgroup_create("by hand: both", "bench", "0", mkstream=True)
        began = time.perf_counter()
        for _ in range(_MESSAGES // _BATCH):
            await _write(redis, "by hand: both", frames)
            await _read(redis, "by hand: both")

        handled = _MESSAGES / (time.perf_counter() - began)

    report(_WHAT, "by hand, batches of 100: write", written, "per second")
    report(_WHAT, "by hand, batches of 100: both", handled, "per second")
    return written, handled


async def _write(redis: Redis, stream: str, frames: list[bytes]) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for frame in frames:
            pipeline.xadd(stream, {"m": frame})

        await pipeline.execute()


async def _read(redis: Redis, stream: str) -> None:
    reply: Any = await redis.xreadgroup("bench", "one", {stream: ">"}, count=_BATCH)
    entries = [entry for entry, _ in reply[0][1]]
    await redis.xack(stream, "bench", *entries)
