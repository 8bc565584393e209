"""Opening a shared bus: what is configured wrong is said, what is down heals."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bus import open_bus
from contracts import BusUnavailable, ConfigurationError, MaybePublished
from tests.support.clock import FakeClock
from tests.support.polling import until
from tests.support.redis_buses import KEY, Heard, Place, ready
from tests.support.servers import RedisServer, running


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory:",
        "http://localhost",
        "redis",
        "redis://localhost:port/0",
        "redis://localhost/0?socket_timeout=long",
        "redis://localhost/0?nonsense=1",
        "redis://localhost/first",
    ],
)
async def test_a_url_that_names_no_bus_is_a_wrong_configuration(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"bus\.url"):
        async with open_bus(url, FakeClock(), key=KEY):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hunter2@host:x/0",
        "redis://:hunter2/and-more@host:6379/0",
        "redis://me:hunter2#and-more@host:6379/0",
        "redis://:hunter2?and=more@host:6379/0",
        "redis://:12/hunter2@host:6379/0",
    ],
)
async def test_a_wrong_url_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with open_bus(url, FakeClock(), key=KEY):
            pass

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", [b"", b"x" * 31])
async def test_a_shared_bus_without_a_long_key_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.bus"):
        async with open_bus("redis://localhost/0", FakeClock(), key=key):
            pass


async def test_a_bus_opens_without_redis_and_heals_when_it_comes(
    tmp_path: Path,
) -> None:
    place, heard = Place(RedisServer(tmp_path)), Heard()
    async with place.bus() as bus:
        bus.subscribe("run_ready", "worker", heard)
        began = time.monotonic()
        for refused in (bus.publish(ready()), bus.ping(), bus.groups()):
            with pytest.raises(BusUnavailable) as caught:
                await refused
            assert caught.value.code == "redis_unavailable"
            assert not isinstance(caught.value, MaybePublished)
        with pytest.raises(BusUnavailable):
            await bus.ask(ready(), timeout_s=5)
        with pytest.raises(BusUnavailable):
            async with bus.listen("topic"):
                pass
        bus.broadcast("topic", ready)
        assert time.monotonic() - began < 4

        async with running(place.server):
            message = ready()
            await bus.publish(message)
            await heard.until({message.id})
            await bus.ping()
            async with bus.listen("topic") as broadcasts:
                bus.broadcast("topic", lambda: message)
                assert (await anext(aiter(broadcasts))).id == message.id


async def test_a_server_that_may_lose_messages_is_told_of_once_a_connection(
    redis_server: RedisServer,
) -> None:
    place = Place(redis_server)
    await place.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await place.run("CONFIG", "SET", "appendonly", "no")
    try:
        with capture_logs() as lines:
            async with place.bus() as bus:
                assert await until(_told(lines, "bus_evicts", "bus_not_durable"))
                await bus.ping()
    finally:
        await place.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await place.run("CONFIG", "SET", "appendonly", "yes")

    alarms = [line["alarm"] for line in lines if line["event"] == "alarm"]
    assert sorted(alarms) == ["bus_evicts", "bus_not_durable"]


async def test_a_well_configured_server_raises_no_alarm(
    redis_server: RedisServer,
) -> None:
    place, heard = Place(redis_server), Heard()
    with capture_logs() as lines:
        async with place.bus() as bus:
            bus.subscribe("run_ready", "worker", heard)
            message = ready()
            await bus.publish(message)
            await heard.until({message.id})

    assert [line for line in lines if line["event"] == "alarm"] == []


def _told(lines: Sequence[object], *alarms: str) -> Callable[[], Awaitable[bool]]:
    async def told() -> bool:
        return all(alarm in str(lines) for alarm in alarms)

    return told
