"""Consumers, connections and servers die; what was published is handled."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from bus.redis_streams.feed import Feed
from bus.redis_streams.keys import Seat
from contracts import BusUnavailable, Envelope, TemporaryError
from tests.support.polling import until
from tests.support.redis_buses import QUICK, Heard, Place, ready
from tests.support.servers import RedisServer, redis62_binary, running

PATIENT = replace(QUICK, min_idle_s=60)
"""Nothing is taken for lost while a test lasts."""


@pytest.fixture(params=["redis_server", "redis62_server"])
def place(request: pytest.FixtureRequest) -> Place:
    """A place on each kind of server."""
    return Place(request.getfixturevalue(request.param))


@pytest.fixture(params=["valkey", "redis 6.2"])
async def mortal(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Place]:
    """A place on a server of its own, which may be killed."""
    binary = redis62_binary() if request.param == "redis 6.2" else None
    server = RedisServer(tmp_path / "redis", binary)
    async with running(server):
        yield Place(server)


async def test_what_a_dead_consumer_held_is_handled_by_another(place: Place) -> None:
    heard, message = Heard(), ready()
    await _hand_to_the_dead(place, message)

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({message.id})
        assert await until(lambda: _all_done(place))


async def test_more_than_a_page_of_a_dead_consumer_is_handled(place: Place) -> None:
    heard, messages = Heard(), [ready() for _ in range(300)]
    await _hand_to_the_dead(place, *messages)

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard, slots=4)
        await heard.until({message.id for message in messages})


async def test_a_handler_that_takes_long_keeps_its_message(place: Place) -> None:
    release, first, second = anyio.Event(), Heard(), Heard()

    async def slow(envelope: Envelope) -> None:
        await first(envelope)
        await release.wait()

    async with place.bus() as slow_bus, place.bus() as idle_bus:
        slow_bus.subscribe("run_ready", "worker", slow, slots=1)
        message = ready()
        await slow_bus.publish(message)
        await first.until({message.id})
        idle_bus.subscribe("run_ready", "worker", second)
        await anyio.sleep(1)  # three times what makes a message lost
        release.set()
        assert await until(lambda: _all_done(place))

    assert second.envelopes == []


async def test_closing_hands_waiting_retries_to_the_others_at_once(
    place: Place,
) -> None:
    tried, heard, message = Heard(), Heard(), ready()

    async def later(envelope: Envelope) -> None:
        await tried(envelope)
        raise TemporaryError(delay=60)

    async with place.bus(PATIENT) as bus:
        bus.subscribe("run_ready", "worker", later)
        await bus.publish(message)
        await tried.until({message.id})

    async with place.bus(PATIENT) as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({message.id})


async def test_tries_are_counted_across_processes(place: Place) -> None:
    tried, message = Heard(), ready()

    async def later(envelope: Envelope) -> None:
        await tried(envelope)
        raise TemporaryError("not yet", delay=60)

    for count in range(1, 6):
        async with place.bus() as bus:
            bus.subscribe("run_ready", "worker", later)
            if count == 1:
                await bus.publish(message)

            assert await until(lambda: _tried(tried, count))  # noqa: B023  awaited here

    async with place.bus() as bus:
        (letter,) = await bus.dead_letters()

    assert (letter.id, letter.count) == (message.id, 5)


async def test_a_message_that_kills_whoever_takes_it_dies_at_last(
    place: Place,
) -> None:
    heard, killer = Heard(), ready()
    await _hand_to_the_dead(place, killer)
    (entry,) = await _pending_entries(place)
    to = (place.keys.work("run_ready"), "worker", "killed", 0, entry)
    await place.run("XCLAIM", *to, "RETRYCOUNT", 10, "IDLE", 10_000, "JUSTID")

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        assert await until(lambda: _all_done(place))
        (letter,) = await bus.dead_letters()

    assert letter.id == killer.id
    assert "handed out 11 times" in letter.reason
    assert heard.envelopes == []


async def test_a_crash_between_burying_and_acknowledging_makes_one_letter(
    place: Place,
) -> None:
    message = ready()

    async def handler(_: Envelope) -> None:
        raise ZeroDivisionError

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", handler)
        await bus.publish(message)
        assert await until(lambda: _buried(place))
        # as it would be if the burial had been kept and the rest had not
        await _hand_to_the_dead(place, message)
        assert await until(lambda: _all_done(place))
        letters = await bus.dead_letters()

    assert [letter.id for letter in letters] == [message.id]


async def test_what_was_read_and_never_arrived_is_read_again(place: Place) -> None:
    heard, messages = Heard(), [ready() for _ in range(5)]
    await _hand_to_the_dead(place, *messages)
    async with place.bus(PATIENT) as bus:
        # as after a break: Redis has handed out, under our name, what we never got
        seat = Seat(
            "run_ready",
            "worker",
            place.keys.work("run_ready"),
            place.keys.failures("run_ready", "worker"),
            "killed",
        )
        feed = Feed(bus._office, seat, heard, slots=2)
        await heard.until({message.id for message in messages})
        await feed.close()

    assert await _all_done(place)


async def test_an_acknowledgement_that_failed_is_made_later(mortal: Place) -> None:
    began, release, heard = anyio.Event(), anyio.Event(), Heard()

    async def handler(envelope: Envelope) -> None:
        began.set()
        await release.wait()
        await heard(envelope)

    async with mortal.bus(PATIENT) as bus:
        bus.subscribe("run_ready", "worker", handler)
        message = await _published(bus)
        await began.wait()
        await mortal.server.kill()
        release.set()
        await heard.until({message})
        await mortal.server.start()
        assert await until(lambda: _all_done(mortal))

    assert len(heard.envelopes) == 1


async def test_deleted_entries_that_were_pending_are_alarmed_and_rung_for(
    place: Place,
) -> None:
    rung, heard, message = anyio.Event(), Heard(), ready()

    async def ring() -> None:
        rung.set()

    await _hand_to_the_dead(place, ready(), ready())
    for entry in await _pending_entries(place):
        await place.run("XDEL", place.keys.work("run_ready"), entry)

    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.on_loss(ring)
            bus.subscribe("run_ready", "worker", heard)
            await bus.publish(message)
            await heard.until({message.id})
            with anyio.fail_after(5):
                await rung.wait()
            assert await until(lambda: _all_done(place))

    lost = [line for line in lines if line.get("alarm") == "lost_message"]
    assert sum(line["count"] for line in lost) == 2
    assert heard.ids == {message.id}


async def test_killing_connections_again_and_again_loses_nothing(
    place: Place,
) -> None:
    heard, sent = Heard(), set[str]()
    async with place.bus() as bus, anyio.create_task_group() as tasks:
        bus.subscribe("run_ready", "worker", heard)
        tasks.start_soon(_kill_clients_again_and_again, place)
        for _ in range(300):
            sent.add(await _published(bus))
            await anyio.sleep(0.003)

        tasks.cancel_scope.cancel()

    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until(sent)
        assert await until(lambda: _all_done(place))


async def test_a_flush_under_load_is_noticed_and_messages_flow_again(
    mortal: Place,
) -> None:
    heard, rung = Heard(), list[None]()

    async def ring() -> None:
        rung.append(None)
        raise TemporaryError

    with capture_logs() as lines:
        async with mortal.bus() as bus, anyio.create_task_group() as tasks:
            bus.on_loss(ring)
            bus.subscribe("run_ready", "worker", heard)
            tasks.start_soon(_publish_on_and_on, bus)
            await anyio.sleep(0.3)
            await mortal.run("FLUSHALL")
            assert await until(lambda: _is(rung))
            after = await _published(bus)
            await heard.until({after})
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()

    assert len(rung) <= 2, "rung for once, or twice if it was noticed bit by bit"
    assert "bus_lost_data" in str(lines)
    assert "not_rung" in str(lines)


async def test_the_loss_of_one_stream_is_noticed_by_its_missing_group(
    place: Place,
) -> None:
    heard, rung = Heard(), anyio.Event()

    async def ring() -> None:
        rung.set()

    async with place.bus() as bus:
        bus.on_loss(ring)
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({await _published(bus)})
        await place.run("DEL", place.keys.work("run_ready"))
        with anyio.fail_after(5):
            await rung.wait()
        await heard.until({await _published(bus)})


async def test_a_killed_server_with_its_file_loses_nothing(mortal: Place) -> None:
    heard, sent = Heard(), set[str]()
    async with mortal.bus() as bus:
        bus.subscribe("run_ready", "worker", heard, slots=1)
        for _ in range(200):
            sent.add(await _published(bus))

        await mortal.server.kill()
        with pytest.raises(BusUnavailable):
            await bus.publish(ready())
        await mortal.server.start()
        sent.add(await _published(bus))
        await heard.until(sent)


async def test_a_server_that_lost_its_folder_is_noticed_and_used_again(
    mortal: Place,
) -> None:
    heard, rung = Heard(), anyio.Event()

    async def ring() -> None:
        rung.set()

    async with mortal.bus() as bus:
        bus.on_loss(ring)
        bus.subscribe("run_ready", "worker", heard)
        before = await _published(bus)
        await heard.until({before})
        await _restart_with(mortal.server, None)
        after = await _published(bus)
        await heard.until({after})
        with anyio.fail_after(5):
            await rung.wait()


async def test_an_older_copy_of_the_data_is_noticed(
    mortal: Place, tmp_path: Path
) -> None:
    heard, rung = Heard(), anyio.Event()

    async def ring() -> None:
        rung.set()

    async with mortal.bus() as bus:
        bus.on_loss(ring)
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({await _published(bus)})
        await mortal.server.kill()
        shutil.copytree(mortal.server.folder, tmp_path / "copy")
        await mortal.server.start()
        await heard.until({await _published(bus)})
        await anyio.sleep(0.5)  # some marks later
        assert not rung.is_set()
        await _restart_with(mortal.server, tmp_path / "copy")
        await heard.until({await _published(bus)})
        with anyio.fail_after(5):
            await rung.wait()


async def _restart_with(server: RedisServer, data: Path | None) -> None:
    """Kill the server and start it with other data, or with none."""
    await server.kill()
    shutil.rmtree(server.folder)
    if data is None:
        server.folder.mkdir()
    else:
        shutil.copytree(data, server.folder)

    await server.start()


async def _published(bus: object) -> str:
    """The id of a message that was published, however often that took."""
    message = ready()
    with anyio.fail_after(10):
        while True:
            try:
                await bus.publish(message)  # type: ignore[attr-defined]
            except BusUnavailable:
                await anyio.sleep(0.02)
            else:
                return message.id


async def _publish_on_and_on(bus: object) -> None:
    while True:
        await _published(bus)
        await anyio.sleep(0.002)


async def _kill_clients_again_and_again(place: Place) -> None:
    while True:
        await anyio.sleep(0.1)
        await _kill_clients(place)


async def _kill_clients(place: Place) -> None:
    await place.run("CLIENT", "KILL", "TYPE", "normal")
    await place.run("CLIENT", "KILL", "TYPE", "pubsub")


async def _hand_to_the_dead(place: Place, *messages: Envelope) -> None:
    """Have messages pending for a consumer that will never speak again."""
    stream = place.keys.work("run_ready")
    for message in messages:
        await place.add("run_ready", place.codec.encode(message))

    if not await place.run("XINFO", "GROUPS", stream):
        await place.run("XGROUP", "CREATE", stream, "worker", "0")

    await _read_as(place, "killed")
    await asyncio.sleep(0)


async def _read_as(place: Place, consumer: str) -> None:
    reading = ("XREADGROUP", "GROUP", "worker", consumer, "COUNT", 1_000)
    await place.run(*reading, "STREAMS", place.keys.work("run_ready"), ">")


async def _pending_entries(place: Place) -> list[bytes]:
    stream = place.keys.work("run_ready")
    rows = await place.run("XPENDING", stream, "worker", "-", "+", 1_000)
    return [row[0] for row in rows]


async def _all_done(place: Place) -> bool:
    return await place.pending("run_ready", "worker") == 0


async def _buried(place: Place) -> bool:
    return bool(await place.run("HLEN", place.keys.letters))


async def _tried(tried: Heard, count: int) -> bool:
    return len(tried.envelopes) >= count


async def _is(rung: list[None]) -> bool:
    return bool(rung)
