"""Several processes on one Redis: groups, answers, topics and letters are shared."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from bus.redis_streams.address import Address
from bus.redis_streams.link import Link
from contracts import (
    BusUnavailable,
    Envelope,
    PermanentError,
    TemporaryError,
    caused,
)
from tests.support.polling import until
from tests.support.redis_buses import AT, QUICK, Heard, Place, ready
from tests.support.servers import RedisServer

_ROOMY = replace(QUICK, capacity=10_000)


@pytest.fixture(params=["redis_server", "redis62_server"])
def place(request: pytest.FixtureRequest) -> Place:
    """A place on each kind of server."""
    return Place(request.getfixturevalue(request.param))


async def test_processes_of_a_group_share_its_messages(place: Place) -> None:
    first, second = Heard(), Heard()
    async with place.bus() as one, place.bus() as other:
        one.subscribe("run_ready", "worker", first, slots=1)
        other.subscribe("run_ready", "worker", second, slots=1)
        sent = {message.id for message in [ready() for _ in range(100)]}
        async with anyio.create_task_group() as tasks:
            for message_id in sent:
                tasks.start_soon(one.publish, ready(id=message_id))

        assert await until(lambda: _together(first, second, 100))

    assert first.ids | second.ids == sent
    assert not first.ids & second.ids
    assert first.ids
    assert second.ids


async def test_two_namespaces_on_a_server_hear_nothing_of_each_other(
    place: Place,
) -> None:
    heard, foreign = Heard(), Heard()
    async with place.bus() as here, Place(place.server).bus() as elsewhere:
        here.subscribe("run_ready", "worker", heard)
        elsewhere.subscribe("run_ready", "worker", foreign)
        async with elsewhere.listen("topic"):
            message = ready()
            here.broadcast("topic", ready)
            await here.publish(message)
            await heard.until({message.id})
            assert await elsewhere.dead_letters() == ()

    assert foreign.envelopes == []


async def test_a_question_is_answered_by_another_process(place: Place) -> None:
    async with place.bus() as asking, place.bus() as answering:

        async def answer(envelope: Envelope) -> None:
            for sender in ("half", "whole"):
                reply = caused(
                    envelope.body,
                    cause=envelope,
                    by=sender,
                    at=AT,
                    in_reply_to=envelope.id,
                )
                await answering.reply(envelope.reply_to or "", reply)

        answering.subscribe("run_ready", "worker", answer)
        replies = await asking.ask(
            ready(), timeout_s=5, until=lambda reply: reply.sender == "whole"
        )

    assert [reply.sender for reply in replies] == ["half", "whole"]


async def test_a_broadcast_is_heard_in_every_process_that_listens(
    place: Place,
) -> None:
    message = ready()
    async with (
        place.bus() as one,
        place.bus() as other,
        one.listen("topic") as here,
        other.listen("topic") as there,
        other.listen("topic") as there_too,
    ):
        one.broadcast("topic", lambda: message)
        with anyio.fail_after(5):
            heard = [await anext(aiter(each)) for each in (here, there, there_too)]

    assert [envelope.id for envelope in heard] == [message.id] * 3


async def test_a_topic_is_heard_until_its_last_listener_has_gone(
    place: Place,
) -> None:
    message, channel = ready(), place.keys.topic("topic")
    async with place.bus() as bus:
        async with bus.listen("topic") as stays:
            async with bus.listen("topic"):
                pass
            bus.broadcast("topic", lambda: message)
            with anyio.fail_after(5):
                assert (await anext(aiter(stays))).id == message.id

        assert await until(lambda: _listeners(place, channel, 0))


async def test_a_listener_is_told_of_a_break_and_may_listen_again(
    place: Place,
) -> None:
    message = ready()
    async with place.bus() as bus:
        async with bus.listen("topic") as broadcasts:
            await place.run("CLIENT", "KILL", "TYPE", "pubsub")
            with anyio.fail_after(5), pytest.raises(BusUnavailable) as caught:
                await anext(aiter(broadcasts))

        async with bus.listen("topic") as broadcasts:
            bus.broadcast("topic", lambda: message)
            with anyio.fail_after(5):
                assert (await anext(aiter(broadcasts))).id == message.id

    assert caught.value.code == "redis_unavailable"


async def test_one_poison_in_a_hundred_is_buried_and_delays_nobody(
    place: Place,
) -> None:
    heard, messages = Heard(), [ready() for _ in range(2_000)]
    poison = {message.id for message in messages[50::100]}

    async def handler(envelope: Envelope) -> None:
        if envelope.id in poison:
            raise PermanentError("never")

        await heard(envelope)

    async with place.bus(tuning=_ROOMY) as bus:
        bus.subscribe("run_ready", "worker", handler)
        async with anyio.create_task_group() as tasks:
            for message in messages:
                tasks.start_soon(bus.publish, message)

        await heard.until({message.id for message in messages} - poison)
        assert await until(lambda: _letters(place, len(poison)))
        letters = await bus.dead_letters(limit=100)

    assert {letter.id for letter in letters} == poison
    assert len(letters) == len(poison)


async def test_a_dead_letter_is_retried_once_it_can_be_handled(place: Place) -> None:
    heard, poison, broken = Heard(), ready(), True

    async def handler(envelope: Envelope) -> None:
        if broken:
            raise PermanentError("not today")

        await heard(envelope)

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", handler)
        await bus.publish(poison)
        assert await until(lambda: _letters(place, 1))
        broken = False
        assert await bus.retry_dead_letter(poison.id)
        await heard.until({poison.id})
        assert await bus.dead_letters() == ()
        assert not await bus.retry_dead_letter(poison.id)


async def test_a_dead_letter_is_dropped_once_and_the_newest_are_listed_first(
    place: Place,
) -> None:
    async def handler(_: Envelope) -> None:
        raise PermanentError("never")

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", handler, slots=1)
        sent = [ready() for _ in range(5)]
        for message in sent:
            await bus.publish(message)

        assert await until(lambda: _letters(place, 5))
        assert await bus.drop_dead_letter(sent[0].id)
        assert not await bus.drop_dead_letter(sent[0].id)
        newest = [letter.id for letter in await bus.dead_letters(limit=3)]
        gone = await bus.dead_letter(sent[0].id)

    assert newest == [message.id for message in sent[:1:-1]]
    assert gone is None


async def test_a_retry_does_not_hold_a_slot_while_it_waits(place: Place) -> None:
    heard, waits = Heard(), ready()

    async def handler(envelope: Envelope) -> None:
        if envelope.id == waits.id:
            raise TemporaryError(delay=60)

        await heard(envelope)

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", handler, slots=1)
        await bus.publish(waits)
        others = {message.id for message in [ready() for _ in range(3)]}
        for message_id in others:
            await bus.publish(ready(id=message_id))

        await heard.until(others)


async def test_what_is_published_in_one_tick_travels_together(place: Place) -> None:
    async with place.bus() as bus:
        await bus.publish(ready())
        before = await _packets(place)
        async with anyio.create_task_group() as tasks:
            for _ in range(500):
                tasks.start_soon(bus.publish, ready())

        packets = await _packets(place) - before

    assert packets < 100


async def test_a_cancelled_call_leaves_its_reply_to_nobody(
    redis_server: RedisServer,
) -> None:
    link = Link(Address(redis_server.url), "test", deadline_s=2)
    key = Place(redis_server).keys.ping
    await link.call(b"SET", key, b"mine")
    for _ in range(100):
        with anyio.move_on_after(0):
            await link.call(b"ECHO", b"somebody else's")
        assert await link.call(b"GET", key) == b"mine"
    await link.close()


async def test_a_loop_that_was_blocked_does_not_take_redis_for_dead(
    redis_server: RedisServer,
) -> None:
    link = Link(Address(redis_server.url), "test", deadline_s=0.1)
    await link.call(b"PING")
    reply = link.call(b"ECHO", b"here all the time")
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    _block(0.3)

    assert await reply == b"here all the time"
    assert link.connections == 1
    await link.close()


async def test_one_refused_command_fails_alone_among_those_of_its_tick(
    redis_server: RedisServer,
) -> None:
    link = Link(Address(redis_server.url), "test", deadline_s=2)
    first, wrong, last = (
        link.call(b"ECHO", b"first"),
        link.call(b"NONSENSE"),
        link.call(b"ECHO", b"last"),
    )

    assert await first == b"first"
    with pytest.raises(BusUnavailable):
        await wrong
    assert await last == b"last"
    await link.close()


async def _together(first: Heard, second: Heard, count: int) -> bool:
    return len(first.envelopes) + len(second.envelopes) >= count


def _block(seconds: float) -> None:
    """Do what nobody should do in a loop."""
    time.sleep(seconds)


async def _listeners(place: Place, channel: bytes, count: int) -> bool:
    return bool(await place.run("PUBSUB", "NUMSUB", channel) == [channel, count])


async def _letters(place: Place, count: int) -> bool:
    return bool(await place.run("HLEN", place.keys.letters) == count)


async def _packets(place: Place) -> int:
    """How often the server has read from a connection."""
    text = (await place.run("INFO", "stats")).decode()
    (line,) = [row for row in text.split() if row.startswith("total_reads_processed")]
    return int(line.partition(":")[2])
