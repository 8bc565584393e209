"""In-process messages per second: one at a time, many at once, three hops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from bench.report import report
from bus import Bus, open_bus
from contracts import Envelope, new_id, said, stamp
from contracts.envelope import RunReady, caused
from sluicegate.clock import SystemClock

_CLOCK = SystemClock()


async def measure(messages: int = 20_000) -> Iterator[None] | None:
    """Print request/reply rates of the in-process bus."""
    async with open_bus("memory://", _CLOCK) as bus:
        bus.subscribe("run_ready", "worker", _answering(bus), slots=64)
        await _report("one at a time", bus, messages // 2, at_once=1)
        await _report("1,000 at once", bus, messages, at_once=1_000)

    async with open_bus("memory://", _CLOCK) as bus:
        _three_hops(bus)
        await _report("three hops", bus, messages // 2, at_once=1)

    return None


def _answering(bus: Bus) -> Callable[[Envelope], Awaitable[None]]:
    async def answer(envelope: Envelope) -> None:
        await bus.reply(envelope.reply_to or "", _next(envelope, envelope.id))

    return answer


def _three_hops(bus: Bus) -> None:
    async def last(envelope: Envelope) -> None:
        await bus.reply(
            envelope.reply_to or "", _next(envelope, envelope.in_reply_to or "")
        )

    async def middle(envelope: Envelope) -> None:
        origin = envelope.in_reply_to or envelope.id
        await bus.publish(
            _next(envelope, origin, "second" if envelope.in_reply_to is None else "")
        )

    hops = {"first": middle, "second": last}

    async def hop(envelope: Envelope) -> None:
        await hops["first" if envelope.in_reply_to is None else "second"](envelope)

    bus.subscribe("run_ready", "worker", hop, slots=8)


def _next(cause: Envelope, in_reply_to: str, _: str = "") -> Envelope:
    return caused(
        cause.body,
        cause=cause,
        by="bench",
        at=cause.sent_at,
        in_reply_to=in_reply_to,
        reply_to=cause.reply_to,
    )


async def _report(name: str, bus: Bus, messages: int, at_once: int) -> None:
    began = time.perf_counter()
    await asyncio.gather(*(_ask(bus, messages // at_once) for _ in range(at_once)))
    seconds = time.perf_counter() - began
    report("in-process request/reply", name, messages / seconds, "per second")


async def _ask(bus: Bus, times: int) -> None:
    for _ in range(times):
        body = RunReady(run_id=new_id("run"))
        envelope = said(
            body,
            by="bench",
            tenant="default",
            at=stamp(_CLOCK.now()),
            reply_to=bus.address,
        )
        await bus.ask(envelope, timeout_s=30)
