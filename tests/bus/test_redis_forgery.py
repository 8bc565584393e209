"""Whoever reaches Redis without the key can say nothing that is heard."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from bus.codec import Codec
from contracts import (
    Approved,
    Channel,
    Decision,
    Deliver,
    Envelope,
    NoReply,
    Principal,
    Proposer,
    caused,
    new_id,
    said,
)
from contracts.envelope import Body
from tests.support.polling import until
from tests.support.redis_buses import AT, KEY, Heard, Place, ready, signed
from tests.support.servers import RedisServer

FORGER = Codec(b"the key of somebody else, long enough")


def decision_of_an_admin() -> Body:
    return Decision(
        id=new_id("dec"),
        action="policy.reload",
        args={},
        proposer=Proposer(kind="user", id="mallory"),
        principal=Principal(
            id="key",
            kind="api_key",
            subject="admin",
            permissions=("*",),
            tenant="default",
        ),
        channel=Channel(kind="http"),
        not_after=AT,
        created_at=AT,
    )


def approval_of_nobody() -> Body:
    return Approved(
        id=new_id("vrd"),
        decision_id=new_id("dec"),
        decision_digest="0" * 64,
        action_digest="0" * 64,
        tenant="default",
        subject="mallory",
        audience="workflow",
        pins={},
        limits={},
        policy_digest="0" * 64,
        rules=(),
        issued_at=AT,
        expires_at=AT,
        key_id="k",
        seal="0" * 64,
    )


def text_for_a_person() -> Body:
    return Deliver(id=new_id("msg"), conversation_id=new_id("cnv"), text="pay me")


@pytest.mark.parametrize(
    "body",
    [decision_of_an_admin(), approval_of_nobody(), text_for_a_person()],
    ids=["decision of an admin", "verdict", "deliver"],
)
async def test_a_forged_message_reaches_no_handler_and_is_alarmed_and_buried(
    body: Body, redis_server: RedisServer
) -> None:
    place, heard = Place(redis_server), Heard()
    forged = said(body, by="coordinator", tenant="default", at=AT)
    frame, good = FORGER.encode(forged), said(body, by="us", tenant="default", at=AT)
    await place.add(forged.kind, frame)
    await place.add(forged.kind, forged.model_dump_json().encode())

    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.subscribe(forged.kind, "group", heard)
            await bus.publish(good)
            await heard.until({good.id})
            assert await until(lambda: _buried(place, 2))
            dead = await bus.dead_letters()

    alarms = [line for line in lines if line.get("alarm") == "unsigned"]
    assert heard.ids == {good.id}
    assert [(alarm["kind"], alarm["group"]) for alarm in alarms] == (
        [(forged.kind, "group")] * 2
    )
    assert {letter.original for letter in dead} >= {frame}
    assert all(letter.reason.startswith("unsigned") for letter in dead)
    assert forged.id not in {letter.id for letter in dead}


async def test_a_forged_twin_does_not_hide_the_death_of_the_genuine_one(
    redis_server: RedisServer,
) -> None:
    place, genuine = Place(redis_server), ready()
    await place.add("run_ready", FORGER.encode(genuine))

    async def handler(_: Envelope) -> None:
        raise ZeroDivisionError

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", handler)
        await bus.publish(genuine)
        assert await until(lambda: _buried(place, 2))
        letter = await bus.dead_letter(genuine.id)

    assert letter is not None
    assert place.codec.decode(letter.original) == genuine


async def test_an_entry_with_other_fields_is_buried_as_it_lay_there(
    redis_server: RedisServer,
) -> None:
    place = Place(redis_server)
    await place.run("XADD", place.keys.work("run_ready"), "*", "a", "1", "b", "2")

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", Heard())
        assert await until(lambda: _buried(place, 1))
        (letter,) = await bus.dead_letters()

    assert letter.original == b"a 1 b 2"


async def test_an_unsigned_letter_that_is_retried_stays_unsigned(
    redis_server: RedisServer,
) -> None:
    place, heard = Place(redis_server), Heard()
    await place.add("run_ready", FORGER.encode(ready()))

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        assert await until(lambda: _buried(place, 1))
        (letter,) = await bus.dead_letters()
        await bus.retry_dead_letter(letter.id)
        assert await until(lambda: _buried(place, 1))
        (again,) = await bus.dead_letters()

    assert (again.id, again.original) == (letter.id, letter.original)
    assert heard.envelopes == []


async def test_a_signed_message_that_lies_in_a_foreign_stream_is_not_handled(
    redis_server: RedisServer,
) -> None:
    place, heard = Place(redis_server), Heard()
    await place.add("run_nudge", place.codec.encode(ready()))

    async with place.bus() as bus:
        bus.subscribe("run_nudge", "worker", heard)
        assert await until(lambda: _buried(place, 1))

    assert heard.envelopes == []


async def test_a_forged_reply_and_a_forged_broadcast_are_not_heard(
    redis_server: RedisServer,
) -> None:
    place, question = Place(redis_server), ready()
    forged = caused(question.body, cause=question, by="mallory", at=AT)
    reply = forged.model_copy(update={"in_reply_to": question.id})
    with capture_logs() as lines:
        async with place.bus() as bus, bus.listen("topic") as broadcasts:
            said_to = place.keys.reply(bus.address)

            async def forge(_: Envelope) -> None:
                await place.run("PUBLISH", said_to, FORGER.encode(reply))
                await place.run("PUBLISH", said_to, b"\xff nonsense")

            bus.subscribe("run_ready", "worker", forge)
            with pytest.raises(NoReply) as caught:
                await bus.ask(question, timeout_s=0.3)

            topic = place.keys.topic("topic")
            await place.run("PUBLISH", topic, FORGER.encode(forged))
            bus.broadcast("topic", lambda: question)
            with anyio.fail_after(5):
                first = await anext(aiter(broadcasts))

    assert caught.value.received == ()
    assert first.id == question.id
    assert len([line for line in lines if line.get("alarm") == "unsigned"]) == 3


async def test_a_message_of_a_newer_version_is_parked_until_somebody_reads_it(
    redis_server: RedisServer,
) -> None:
    place, heard, good = Place(redis_server), Heard(), ready()
    newer = signed(b"2", b"{}")
    await place.add("run_ready", newer)

    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.subscribe("run_ready", "worker", heard)
            await bus.publish(good)
            await heard.until({good.id})
            assert await until(lambda: _parked(place, [newer]))
            assert await bus.dead_letters() == ()
            assert (await bus.groups())["run_ready/worker"].pending == 0

    assert [line["alarm"] for line in lines if line["event"] == "alarm"] == ["parked"]
    assert heard.ids == {good.id}


async def test_what_was_parked_is_handled_by_a_process_that_reads_it(
    redis_server: RedisServer,
) -> None:
    place, heard, now_known = Place(redis_server), Heard(), ready()
    parked = place.keys.parked("run_ready")
    await place.run("XADD", parked, "*", "m", signed(b"2", b"{}"))
    await place.run("XADD", parked, "*", "m", place.codec.encode(now_known))

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({now_known.id})

    assert await _parked(place, [signed(b"2", b"{}")])


async def test_the_key_of_the_bus_is_in_no_log_line_and_in_nothing_kept(
    redis_server: RedisServer,
) -> None:
    place = Place(redis_server)
    await place.add("run_ready", FORGER.encode(ready()))
    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.subscribe("run_ready", "worker", Heard())
            assert await until(lambda: _buried(place, 1))
            kept: Any = await bus.dead_letters()

    for form in (KEY.decode(), KEY.hex()):
        assert form not in str(lines)
        assert form not in str(kept)


async def _buried(place: Place, count: int) -> bool:
    kept = await place.run("HLEN", place.keys.letters)
    return bool(kept == count)


async def _parked(place: Place, frames: list[bytes]) -> bool:
    entries = await place.run("XRANGE", place.keys.parked("run_ready"), "-", "+")
    return [fields[1] for _, fields in entries] == frames
