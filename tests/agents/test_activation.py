"""Agents are fed by the type of a body, and their chores outlive errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from agents import Activation, Chore, Hearing
from bus import Bus, open_bus
from contracts import (
    Approved,
    Envelope,
    Refused,
    StoreUnavailable,
    TemporaryError,
    new_id,
    said,
)
from contracts.envelope import RunReady
from tests.support.clock import FakeClock

AT = "2026-11-21T03:54:40.123Z"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def bus(clock: FakeClock) -> AsyncIterator[Bus]:
    async with open_bus("memory://", clock) as opened:
        yield opened


def refused() -> Envelope:
    body = Refused(
        id=new_id("vrd"),
        decision_id=new_id("dec"),
        code="refused",
        message="No.",
        issued_at=AT,
    )
    return said(body, by="test", tenant="default", at=AT)


def ready() -> Envelope:
    return said(RunReady(run_id=new_id("run")), by="test", tenant="default", at=AT)


class Listener:
    """An agent that keeps what it hears, and what every log line would hold."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.bound: list[dict[str, object]] = []

    async def on_refused(self, body: Refused, envelope: Envelope) -> None:
        self.heard.append(body)
        self.bound.append(dict(get_contextvars()))

    async def on_approved(self, body: Approved, envelope: Envelope) -> None:
        self.heard.append(body)

    async def on_run_ready(self, body: RunReady, envelope: Envelope) -> None:
        self.heard.append(body)
        raise TemporaryError


async def test_the_type_of_the_body_chooses_the_handler(
    bus: Bus, clock: FakeClock
) -> None:
    agent, envelope = Listener(), refused()
    ears = (
        Hearing("verdict", Refused, "a", agent.on_refused),
        Hearing("verdict", Approved, "b", agent.on_approved),
    )

    async with Activation(bus, clock, name="agent", ears=ears):
        await bus.publish(envelope)
        await clock.advance(1)

    assert agent.heard == [envelope.body]
    assert await bus.dead_letters() == ()


async def test_every_log_line_of_a_handler_holds_the_ids_of_its_message(
    bus: Bus, clock: FakeClock
) -> None:
    agent, envelope = Listener(), refused()
    ears = (Hearing("verdict", Refused, "a", agent.on_refused),)

    async with Activation(bus, clock, name="agent", ears=ears):
        await bus.publish(envelope)
        await clock.advance(1)

    assert isinstance(envelope.body, Refused)
    assert agent.bound == [
        {
            "correlation_id": envelope.correlation_id,
            "decision_id": envelope.body.decision_id,
            "message_id": envelope.id,
            "tenant": "default",
            "verdict_id": envelope.body.id,
        }
    ]
    assert get_contextvars() == {}


async def test_handling_is_logged_with_its_ending_and_duration(
    bus: Bus, clock: FakeClock
) -> None:
    agent = Listener()
    ears = (
        Hearing("verdict", Refused, "a", agent.on_refused),
        Hearing("run_ready", RunReady, "a", agent.on_run_ready),
    )
    with capture_logs() as lines:
        async with Activation(bus, clock, name="agent", ears=ears):
            await bus.publish(refused())
            await bus.publish(ready())
            await clock.advance(0.05)

    handled = [line for line in lines if line["event"] == "message.handled"]
    endings = {line["kind"]: line["ending"] for line in handled}
    assert endings == {"verdict": "done", "run_ready": "raised"}
    assert all(line["duration_ms"] >= 0 for line in handled)


async def test_an_error_of_a_handler_is_the_buss_to_judge(
    bus: Bus, clock: FakeClock
) -> None:
    agent = Listener()
    ears = (Hearing("run_ready", RunReady, "a", agent.on_run_ready),)

    async with Activation(bus, clock, name="agent", ears=ears):
        await bus.publish(ready())
        await clock.advance(1_000)

    assert len(agent.heard) == 5
    assert len(await bus.dead_letters()) == 1


async def test_a_chore_is_done_again_after_every_error(
    bus: Bus, clock: FakeClock
) -> None:
    done: list[float] = []

    async def chore() -> None:
        done.append(clock.monotonic())
        raise StoreUnavailable if len(done) == 1 else ValueError("odd")

    chores = (Chore("sweep", 5, chore),)
    with capture_logs() as lines:
        async with Activation(bus, clock, name="agent", chores=chores):
            await clock.advance(15)

    assert done == [5, 10, 15]
    assert [line["alarm"] for line in lines if line["event"] == "alarm"] == [
        "sweep"
    ] * 3


async def test_nothing_of_an_agent_runs_after_it_is_closed(
    bus: Bus, clock: FakeClock
) -> None:
    agent = Listener()
    done: list[int] = []

    async def chore() -> None:
        done.append(1)

    activation = Activation(
        bus,
        clock,
        name="agent",
        ears=(Hearing("verdict", Refused, "a", agent.on_refused),),
        chores=(Chore("sweep", 5, chore),),
    )
    activation.start()
    await activation.close()
    await activation.close()
    await bus.publish(refused())
    await clock.advance(60)

    assert agent.heard == []
    assert done == []
    assert clock.sleepers == 0


async def test_a_chore_that_makes_an_error_of_its_end_holds_nobody_up(
    bus: Bus, clock: FakeClock
) -> None:
    begun = anyio.Event()

    async def wait_for_the_store() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            raise StoreUnavailable from None

    chores = (Chore("sweep", 1, wait_for_the_store),)
    activation = Activation(bus, clock, name="a", chores=chores)
    activation.start()
    await clock.advance(0)
    await clock.advance(1)
    await begun.wait()

    with anyio.fail_after(2):
        await activation.close()

    assert clock.sleepers == 0


async def test_ears_are_closed_together_and_not_one_after_the_other(
    bus: Bus, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing: list[str] = []
    both = anyio.Event()

    class Slow:
        async def close(self) -> None:
            closing.append("closing")
            if len(closing) == 2:
                both.set()

            await both.wait()

    monkeypatch.setattr(bus, "subscribe", lambda *_, **__: Slow())
    ears = [Hearing("verdict", Refused, group, Listener().on_refused) for group in "ab"]
    activation = Activation(bus, clock, name="agent", ears=ears)
    activation.start()

    with anyio.fail_after(2):
        await activation.close()

    assert len(closing) == 2


async def test_bodies_nobody_asked_for_are_acknowledged(
    bus: Bus, clock: FakeClock
) -> None:
    agent = Listener()
    ears = (Hearing("verdict", Approved, "a", agent.on_approved),)

    async with Activation(bus, clock, name="agent", ears=ears):
        await bus.publish(refused())
        await clock.advance(1)

    assert agent.heard == []
    assert (await bus.groups())["verdict/a"].waiting == 0
    assert await bus.dead_letters() == ()
