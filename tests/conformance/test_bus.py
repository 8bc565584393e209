"""What every bus promises; each adapter passes this suite unchanged."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator

import anyio
import pytest
import structlog

from bus import Bus, open_bus
from contracts import (
    BusUnavailable,
    Channel,
    Decision,
    Envelope,
    NoReply,
    PermanentError,
    Principal,
    Proposer,
    TemporaryError,
    caused,
    new_id,
    said,
)
from contracts.envelope import RunNudged, RunReady
from tests.support.clock import FakeClock
from tests.support.logging import restored
from tests.support.servers import RedisServer

AT = "2026-11-21T03:54:40.123Z"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["in process", "redis_server", "redis62_server"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "in process":
        return "memory://"

    server: RedisServer = request.getfixturevalue(request.param)
    return server.url


@pytest.fixture
async def bus(url: str, clock: FakeClock) -> AsyncIterator[Bus]:
    key, namespace = secrets.token_bytes(32), new_id("msg")
    with restored():
        # tens of thousands of lines would be what is measured by the time limits
        warnings = structlog.make_filtering_bound_logger(logging.WARNING)
        structlog.configure(wrapper_class=warnings)
        async with open_bus(url, clock, key=key, namespace=namespace) as opened:
            yield opened


def ready(**more: object) -> Envelope:
    body = RunReady(run_id=new_id("run"))
    return said(body, by="test", tenant="default", at=AT, **more)


def decision(args: dict[str, object]) -> Envelope:
    body = Decision(
        id=new_id("dec"),
        action="workflow.run",
        args=args,
        proposer=Proposer(kind="user", id="ada"),
        principal=Principal(
            id="key", kind="api_key", subject="ada", permissions=(), tenant="default"
        ),
        channel=Channel(kind="http"),
        not_after=AT,
        created_at=AT,
    )
    return said(body, by="test", tenant="default", at=AT)


class Heard:
    """A handler that keeps what it hears and can be waited for."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._changed = anyio.Event()

    async def __call__(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def ids(self) -> set[str]:
        return {envelope.id for envelope in self.envelopes}

    async def until(self, count: int) -> None:
        with anyio.fail_after(5):
            while len(self.envelopes) < count:
                await self._changed.wait()


async def test_each_group_of_a_kind_hears_each_message(bus: Bus) -> None:
    first, second = Heard(), Heard()
    bus.subscribe("run_ready", "one", first)
    bus.subscribe("run_ready", "two", second)
    sent = [ready() for _ in range(50)]

    for envelope in sent:
        await bus.publish(envelope)

    await first.until(50)
    await second.until(50)
    assert first.ids == second.ids == {envelope.id for envelope in sent}


async def test_two_subscriptions_of_a_group_share_its_messages(bus: Bus) -> None:
    first, second = Heard(), Heard()
    bus.subscribe("run_ready", "worker", first, slots=1)
    bus.subscribe("run_ready", "worker", second, slots=1)

    for _ in range(40):
        await bus.publish(ready())

    with anyio.fail_after(5):
        while len(first.envelopes) + len(second.envelopes) < 40:
            await anyio.lowlevel.checkpoint()
    assert not first.ids & second.ids


async def test_a_message_published_before_any_subscriber_waits(bus: Bus) -> None:
    early = ready()
    await bus.publish(early)
    heard = Heard()

    bus.subscribe("run_ready", "worker", heard)

    await heard.until(1)
    assert heard.ids == {early.id}


async def test_at_most_slots_handlers_of_a_subscription_run_at_once(bus: Bus) -> None:
    running, most, done = 0, 0, anyio.Semaphore(0)

    async def handler(_: Envelope) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _turn in range(3):
            await anyio.lowlevel.checkpoint()
        running -= 1
        done.release()

    bus.subscribe("run_ready", "worker", handler, slots=3)
    for _ in range(30):
        await bus.publish(ready())

    with anyio.fail_after(5):
        for _ in range(30):
            await done.acquire()
    assert most == 3


async def test_a_stuck_handler_starves_no_other_subscription(bus: Bus) -> None:
    release = anyio.Event()

    async def stuck(_: Envelope) -> None:
        await release.wait()

    other = Heard()
    bus.subscribe("run_ready", "stuck", stuck, slots=1)
    bus.subscribe("run_nudge", "other", other, slots=1)
    for _ in range(20):
        await bus.publish(ready())
    nudge = said(RunNudged(run_id=new_id("run")), by="test", tenant="default", at=AT)

    await bus.publish(nudge)

    await other.until(1)
    release.set()


async def test_a_temporary_error_is_tried_five_times_in_all_then_dead(
    bus: Bus, clock: FakeClock
) -> None:
    tried = Heard()

    async def handler(envelope: Envelope) -> None:
        await tried(envelope)
        raise TemporaryError("not yet")

    bus.subscribe("run_ready", "worker", handler)
    poison = ready()
    await bus.publish(poison)

    for count in range(1, 6):
        await tried.until(count)
        await clock.advance(60)

    await _dead(bus, 1)
    (dead,) = await bus.dead_letters()
    assert len(tried.envelopes) == 5
    assert (dead.id, dead.count, dead.group) == (poison.id, 5, "worker")
    assert poison.id.encode() in dead.original
    assert "not yet" in dead.reason


@pytest.mark.parametrize("error", [PermanentError("never"), ZeroDivisionError("oops")])
async def test_any_other_error_is_dead_at_once_and_blocks_nobody(
    bus: Bus, error: Exception
) -> None:
    poison, good = ready(), ready()
    heard = Heard()

    async def handler(envelope: Envelope) -> None:
        if envelope.id == poison.id:
            raise error

        await heard(envelope)

    bus.subscribe("run_ready", "worker", handler, slots=1)
    await bus.publish(poison)
    await bus.publish(good)

    await heard.until(1)
    (dead,) = await bus.dead_letters()
    assert heard.ids == {good.id}
    assert (dead.id, dead.count) == (poison.id, 1)


async def test_a_message_is_one_dead_letter_however_often_it_dies(bus: Bus) -> None:
    async def handler(_: Envelope) -> None:
        raise PermanentError("never")

    bus.subscribe("run_ready", "one", handler)
    bus.subscribe("run_ready", "two", handler)
    poison = ready()
    await bus.publish(poison)
    await bus.publish(poison)

    await _dead(bus, 1)
    await anyio.lowlevel.checkpoint()
    assert [dead.id for dead in await bus.dead_letters()] == [poison.id]


async def test_ask_returns_the_reply_to_its_own_message(bus: Bus) -> None:
    async def answer(envelope: Envelope) -> None:
        await bus.reply(envelope.reply_to or "", _answer(envelope))

    bus.subscribe("run_ready", "worker", answer)
    questions = [ready() for _ in range(20)]

    for question in questions:
        (reply,) = await bus.ask(question, timeout_s=5)
        assert reply.in_reply_to == question.id
        assert reply.correlation_id == question.correlation_id


async def test_ask_collects_replies_up_to_the_accepted_one(bus: Bus) -> None:
    async def answer(envelope: Envelope) -> None:
        for sender in ("first", "second", "last"):
            await bus.reply(envelope.reply_to or "", _answer(envelope, sender))

    bus.subscribe("run_ready", "worker", answer)

    replies = await bus.ask(ready(), timeout_s=5, until=lambda r: r.sender == "last")

    assert [reply.sender for reply in replies] == ["first", "second", "last"]


async def test_ask_without_an_answer_raises_with_what_did_come(bus: Bus) -> None:
    async def answer(envelope: Envelope) -> None:
        await bus.reply(envelope.reply_to or "", _answer(envelope, "half"))

    bus.subscribe("run_ready", "worker", answer)

    with pytest.raises(NoReply) as caught:
        await bus.ask(ready(), timeout_s=0.05, until=lambda r: r.sender == "whole")

    assert [reply.sender for reply in caught.value.received] == ["half"]


async def test_a_reply_that_nobody_waits_for_is_no_error(bus: Bus) -> None:
    await bus.reply(bus.address, _answer(ready()))
    await bus.reply("a process that is gone", _answer(ready()))


async def test_a_listener_hears_its_topic_from_entering_on(bus: Bus) -> None:
    before, after, other = ready(), ready(), ready()
    bus.broadcast("run:1", lambda: before)

    async with bus.listen("run:1") as broadcasts:
        bus.broadcast("run:2", lambda: other)
        bus.broadcast("run:1", lambda: after)

        with anyio.fail_after(5):
            assert (await anext(aiter(broadcasts))).id == after.id


async def test_a_listener_that_falls_behind_is_told_and_slows_nobody(bus: Bus) -> None:
    async with bus.listen("run:1", buffer=3) as broadcasts:
        for _ in range(10):
            bus.broadcast("run:1", ready)

        with anyio.fail_after(5), pytest.raises(BusUnavailable):
            async for _ in broadcasts:
                pass


async def test_a_message_beyond_the_limit_is_refused_at_publish(bus: Bus) -> None:
    heard = Heard()
    bus.subscribe("decision", "coordinator", heard)

    with pytest.raises(PermanentError) as caught:
        await bus.publish(decision({"input": "x" * 300_000}))

    assert caught.value.code == "message_too_large"
    assert heard.envelopes == []


async def test_a_lagging_group_refuses_producers_and_still_drains(bus: Bus) -> None:
    release, heard = anyio.Event(), Heard()

    async def handler(envelope: Envelope) -> None:
        await release.wait()
        await heard(envelope)

    bus.subscribe("run_ready", "worker", handler, slots=4)
    sent = await _published_until_refused(bus, 20_000)
    with pytest.raises(BusUnavailable) as caught:
        await bus.publish(ready())

    assert caught.value.code == "bus_backlog"
    release.set()
    await heard.until(sent)
    await bus.publish(ready())
    await heard.until(sent + 1)


async def test_closing_finishes_what_runs_and_closing_twice_is_harmless(
    bus: Bus,
) -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def handler(_: Envelope) -> None:
        began.set()
        for _turn in range(5):
            await anyio.lowlevel.checkpoint()
        ended.set()

    bus.subscribe("run_ready", "worker", handler)
    await bus.publish(ready())
    await began.wait()

    await bus.close()
    await bus.close()

    assert ended.is_set()
    with pytest.raises(BusUnavailable):
        await bus.publish(ready())


async def test_a_closed_subscription_gets_nothing_more(bus: Bus) -> None:
    heard = Heard()
    subscription = bus.subscribe("run_ready", "worker", heard)
    await subscription.close()

    await bus.publish(ready())
    await anyio.lowlevel.checkpoint()

    assert heard.envelopes == []
    assert (await bus.groups())["run_ready/worker"].waiting == 1


async def _published_until_refused(bus: Bus, most: int) -> int:
    """How many messages the bus took before it refused one."""
    for sent in range(most):
        try:
            await bus.publish(ready())
        except BusUnavailable:
            return sent

    return most


def _answer(question: Envelope, sender: str = "answerer") -> Envelope:
    return caused(
        question.body, cause=question, by=sender, at=AT, in_reply_to=question.id
    )


async def _dead(bus: Bus, count: int) -> None:
    with anyio.fail_after(5):
        while len(await bus.dead_letters()) < count:
            await anyio.lowlevel.checkpoint()
