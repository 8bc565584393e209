"""In-process messages per second: one at a time, many at once, three hops."""

from __future__ import annotations

import asyncio
import time

from bench.report import report
from bus import Bus, open_bus
from contracts import Envelope, caused, new_id, said, stamp
from contracts.envelope import RunNudged, RunReady
from sluicegate.clock import SystemClock

_CLOCK = SystemClock()
_MESSAGES = 20_000


async def measure() -> None:
    """Print request/reply rates of the in-process bus."""
    async with open_bus("memory://", _CLOCK) as bus:
        bus.subscribe("run_ready", "worker", _Answering(bus), slots=64)
        await _report("one at a time", bus, at_once=1)
        await _report("1,000 at once", bus, at_once=1_000)

    async with open_bus("memory://", _CLOCK) as bus:
        bus.subscribe("run_ready", "first", _Passing(bus), slots=8)
        bus.subscribe("run_nudge", "second", _Answering(bus), slots=8)
        await _report("three hops", bus, at_once=1)


class _Answering:
    """The last hop: answers whoever asked first."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, envelope: Envelope) -> None:
        asked = envelope.in_reply_to or envelope.id
        body = envelope.body
        reply = caused(
            body, cause=envelope, by="bench", at=envelope.sent_at, in_reply_to=asked
        )
        await self._bus.reply(envelope.reply_to or "", reply)


class _Passing:
    """The hop in the middle: says something else to the last one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, envelope: Envelope) -> None:
        further = caused(
            RunNudged(run_id=new_id("run")),
            cause=envelope,
            by="bench",
            at=envelope.sent_at,
            in_reply_to=envelope.id,
            reply_to=envelope.reply_to,
        )
        await self._bus.publish(further)


async def _report(case: str, bus: Bus, at_once: int) -> None:
    began = time.perf_counter()
    await asyncio.gather(*(_ask(bus, _MESSAGES // at_once) for _ in range(at_once)))
    seconds = time.perf_counter() - began
    report("in-process request/reply", case, _MESSAGES / seconds, "per second")


async def _ask(bus: Bus, times: int) -> None:
    for _ in range(times):
        at = stamp(_CLOCK.now())
        body = RunReady(run_id=new_id("run"))
        asked = said(body, by="bench", tenant="default", at=at, reply_to=bus.address)
        await bus.ask(asked, timeout_s=30)
