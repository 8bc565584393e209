"""What the doctor finds of a bus and a store: what they are, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus import examine_bus
from contracts import ConfigurationError
from store import examine_store
from tests.support.ports import free_port
from tests.support.servers import MongoServer, RedisServer, running


async def test_a_bus_and_a_store_inside_the_process_are_fine() -> None:
    assert (await examine_bus("memory://")).level == "ok"
    assert (await examine_store("sqlite:///x.db")).level in ("ok", "note")


async def test_a_redis_that_keeps_what_it_is_given_is_fine(
    redis_server: RedisServer,
) -> None:
    finding = await examine_bus(redis_server.url)

    assert (finding.what, finding.level) == ("redis", "ok")
    assert finding.said.startswith("Valkey 9")


async def test_a_redis_that_forgets_or_evicts_is_told_how_to_mend(
    tmp_path: Path,
) -> None:
    class Forgetful(RedisServer):
        def command(self) -> list[str]:
            more = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]
            return [*super().command(), *more]

    server = Forgetful(tmp_path)
    async with running(server):
        finding = await examine_bus(server.url)

    assert finding.level == "bad"
    assert "CONFIG SET appendonly yes" in finding.said
    assert "CONFIG SET maxmemory-policy noeviction" in finding.said


async def test_a_mongodb_is_told_with_its_version_and_schema(
    mongo_server: MongoServer,
) -> None:
    finding = await examine_store(mongo_server.url("examined"))

    assert (finding.what, finding.level) == ("mongo", "ok")
    assert "schema 0 of" in finding.said


async def test_servers_that_are_away_are_named_as_such() -> None:
    port = free_port()

    redis = await examine_bus(f"redis://:pass-word@127.0.0.1:{port}/0")

    assert (redis.what, redis.level) == ("redis", "bad")
    assert "pass-word" not in redis.said


async def test_a_mongodb_url_that_is_not_safe_is_a_finding(
    mongo_server: MongoServer,
) -> None:
    finding = await examine_store(f"{mongo_server.url('examined')}&w=1")

    assert (finding.level, "majority" in finding.said) == ("bad", True)


async def test_a_url_that_names_nothing_is_refused_without_its_secrets() -> None:
    for examine in (examine_bus, examine_store):
        with pytest.raises(ConfigurationError) as refused:
            await examine("amqp://eve:pass-word@host")

        assert "pass-word" not in refused.value.message
