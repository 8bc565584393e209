"""Redis is full, slow, stopped or only read: producers hear it, nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from redis.asyncio.connection import DefaultParser
from structlog.testing import capture_logs

from bus import Bus
from bus.redis_streams.refusals import refusal
from contracts import BusUnavailable, Envelope, MaybePublished
from tests.support.polling import until
from tests.support.redis_buses import QUICK, Heard, Place, large, ready
from tests.support.servers import RedisServer, redis62_binary, running


@pytest.fixture(params=["valkey", "redis 6.2"])
async def mortal(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Place]:
    """A place on a server of its own, which may be mistreated."""
    binary = redis62_binary() if request.param == "redis 6.2" else None
    server = RedisServer(tmp_path / "redis", binary)
    async with running(server):
        yield Place(server)


@pytest.fixture(params=["redis_server", "redis62_server"])
def place(request: pytest.FixtureRequest) -> Place:
    """A place on each kind of server."""
    return Place(request.getfixturevalue(request.param))


class Gate(Heard):
    """A handler that lets nothing through before it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = anyio.Event()

    async def __call__(self, envelope: Envelope) -> None:
        await self.opened.wait()
        await super().__call__(envelope)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "bus_backlog"),
        ("READONLY You can't write against a read only replica.", "redis_unavailable"),
        ("MISCONF Errors writing to the AOF file.", "redis_unavailable"),
        ("LOADING Redis is loading the dataset in memory", "redis_unavailable"),
        ("MASTERDOWN Link with MASTER is down", "redis_unavailable"),
        ("NOAUTH Authentication required.", "redis_unavailable"),
        ("NOPERM this user has no permissions", "redis_unavailable"),
        ("ERR max number of clients reached", "redis_unavailable"),
        ("ERR something new", "redis_unavailable"),
    ],
)
def test_every_refusal_of_redis_has_a_code_of_ours(reply: str, code: str) -> None:
    error = DefaultParser.parse_error(reply)  # type: ignore[no-untyped-call]

    assert refusal(error).code == code


async def test_full_memory_refuses_producers_while_consumers_make_room(
    mortal: Place,
) -> None:
    gate = Gate()
    async with mortal.bus() as bus:
        bus.subscribe("decision", "coordinator", gate)
        sent = [large() for _ in range(60)]
        for message in sent:
            await bus.publish(message)

        used = int(_info(await mortal.run("INFO", "memory"))["used_memory"])
        await mortal.run("CONFIG", "SET", "maxmemory", used - 1_000_000)
        with pytest.raises(BusUnavailable) as caught:
            await bus.publish(large())
        with pytest.raises(BusUnavailable):
            await bus.ping()
        gate.opened.set()
        await gate.until({message.id for message in sent})
        last = await _published(bus, large())
        await gate.until({last})

    assert caught.value.code == "bus_backlog"


async def test_a_redis_that_is_only_read_refuses_until_it_is_written_again(
    mortal: Place,
) -> None:
    heard = Heard()
    async with mortal.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({await _published(bus, ready())})
        await mortal.run("REPLICAOF", "127.0.0.1", 1)
        for refused in (bus.publish(ready()), bus.ping()):
            with pytest.raises(BusUnavailable) as caught:
                await refused
            assert caught.value.code == "redis_unavailable"

        await mortal.run("REPLICAOF", "NO", "ONE")
        await heard.until({await _published(bus, ready())})


async def test_a_stopped_server_fails_a_publish_in_time_and_heals_within_five_seconds(
    mortal: Place,
) -> None:
    heard, lost = Heard(), ready()
    async with mortal.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await heard.until({await _published(bus, ready())})
        os.kill(mortal.server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(MaybePublished) as caught:
                await bus.publish(lost)
            took = time.monotonic() - began
            await anyio.sleep(QUICK.block_s + QUICK.margin_s)
        finally:
            os.kill(mortal.server.pid, signal.SIGCONT)

        await heard.until({await _published(bus, ready())}, within_s=5)
        # the refused one had been sent: it may come, once or not at all
        assert [one.id for one in heard.envelopes].count(lost.id) <= 1

    assert caught.value.code == "redis_unavailable"
    assert took < QUICK.deadline_s * 1.5


async def test_a_group_that_lags_refuses_in_all_processes_and_for_one_kind_only(
    place: Place,
) -> None:
    gate = Gate()
    async with place.bus() as consumer, place.bus() as producer:
        consumer.subscribe("run_ready", "worker", gate)
        async with anyio.create_task_group() as tasks:
            for _ in range(QUICK.capacity):
                tasks.start_soon(_published, producer, ready())

        for bus in (producer, consumer):
            assert await until(lambda: _is_refused(bus))  # noqa: B023  awaited here
        await producer.publish(large())
        gate.opened.set()
        assert await until(lambda: _is_taken(producer))


async def test_a_stream_that_nobody_reads_fills_up_and_keeps_what_it_has(
    place: Place,
) -> None:
    async with place.bus() as bus:
        async with anyio.create_task_group() as tasks:
            for _ in range(QUICK.capacity):
                tasks.start_soon(_published, bus, ready())

        assert await until(lambda: _is_refused(bus))

    assert len(await place.frames("run_ready")) >= QUICK.capacity


async def test_trimming_keeps_what_any_group_has_not_handled(place: Place) -> None:
    fast, slow = Heard(), Gate()
    async with place.bus() as bus:
        bus.subscribe("run_ready", "fast", fast)
        feed = bus.subscribe("run_ready", "slow", slow, slots=2)
        sent = [ready() for _ in range(20)]
        for message in sent:
            await bus.publish(message)

        await fast.until({message.id for message in sent})
        await anyio.sleep(5 * QUICK.pulse_s)
        assert len(await place.frames("run_ready")) == 20
        slow.opened.set()
        await slow.until({message.id for message in sent})
        assert await until(lambda: _is_empty(place))
        await feed.close()
        late = ready()
        await bus.publish(late)
        await fast.until({late.id})
        await anyio.sleep(5 * QUICK.pulse_s)
        assert len(await place.frames("run_ready")) == 1


async def test_a_stream_without_a_group_is_never_trimmed(place: Place) -> None:
    async with place.bus() as bus:
        for _ in range(5):
            await bus.publish(ready())

        await anyio.sleep(5 * QUICK.pulse_s)
        assert len(await place.frames("run_ready")) == 5


async def test_deleting_what_was_not_delivered_is_alarmed_where_redis_can_tell(
    redis_server: RedisServer,
) -> None:
    place, gate = Place(redis_server), Gate()
    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.subscribe("run_ready", "worker", gate, slots=1)
            for _ in range(9):
                await bus.publish(ready())

            assert await until(lambda: _waits(bus, 8))
            stream = place.keys.work("run_ready")
            entries = await place.run("XRANGE", stream, "-", "+")
            await place.run("XDEL", stream, entries[5][0])
            assert await until(lambda: _waits(bus, 7))
            await anyio.sleep(5 * QUICK.pulse_s)
            gate.opened.set()

    alarms = [line["alarm"] for line in lines if line["event"] == "alarm"]
    assert alarms == ["lag_unknown"]


async def test_consumers_that_are_gone_are_forgotten_unless_they_hold_something(
    place: Place,
) -> None:
    heard, message = Heard(), ready()
    patient = Place(place.server, place.namespace)
    async with patient.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        await bus.publish(message)
        await heard.until({message.id})
        stream = place.keys.work("run_ready")
        await place.run("XGROUP", "CREATECONSUMER", stream, "worker", "gone")
        assert await until(lambda: _has_consumers(place, 2))

    tuning = replace(QUICK, consumer_idle_s=0.5)
    async with place.bus(tuning) as bus:
        bus.subscribe("run_nudge", "worker", heard)
        assert await until(lambda: _has_consumers(place, 0))
        await place.add("run_ready", place.codec.encode(ready()))
        reading = ("XREADGROUP", "GROUP", "worker", "holds one", "STREAMS", stream)
        await place.run(*reading, ">")
        await anyio.sleep(1)
        assert await _has_consumers(place, 1)


async def test_a_consumer_that_only_waits_is_not_forgotten(place: Place) -> None:
    heard, message = Heard(), ready()
    async with place.bus(replace(QUICK, consumer_idle_s=0.2)) as bus:
        bus.subscribe("run_ready", "worker", heard)
        await bus.publish(message)
        await heard.until({message.id})
        await anyio.sleep(1)
        assert await _has_consumers(place, 1)


async def test_only_living_subscriptions_count_as_consumers(place: Place) -> None:
    async with place.bus() as one, place.bus() as other:
        feed = one.subscribe("run_ready", "worker", Heard())
        other.subscribe("run_ready", "worker", Heard())
        for _ in range(30):
            await one.publish(ready())

        assert await until(lambda: _counts_consumers(other, 2))
        await feed.close()
        assert await _counts_consumers(other, 1)


async def _counts_consumers(bus: Bus, count: int) -> bool:
    return (await bus.groups())["run_ready/worker"].consumers == count


async def _published(bus: Bus, message: Envelope) -> str:
    """The id of a message that was published, however often that took."""
    with anyio.fail_after(10):
        while True:
            try:
                await bus.publish(message)
            except BusUnavailable:
                await anyio.sleep(0.02)
            else:
                return message.id


async def _is_refused(bus: Bus) -> bool:
    try:
        await bus.publish(ready())
    except BusUnavailable as error:
        return error.code == "bus_backlog"

    return False


async def _is_taken(bus: Bus) -> bool:
    return not await _is_refused(bus)


async def _is_empty(place: Place) -> bool:
    return not await place.frames("run_ready")


async def _waits(bus: Bus, count: int) -> bool:
    return (await bus.groups())["run_ready/worker"].waiting == count


async def _has_consumers(place: Place, count: int) -> bool:
    stream = place.keys.work("run_ready")
    return len(await place.run("XINFO", "CONSUMERS", stream, "worker")) == count


def _info(text: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.decode().split() if ":" in line)
