"""A fault that does nothing proves nothing: each must be felt, and end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, NotPrimaryError, PyMongoError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisSlow

from tests.support.polling import until
from tests.support.server_faults import (
    copy_of,
    failing,
    flush,
    kill_connections,
    losing_connections,
    read_only,
    restart,
    restore,
    short_of_memory,
    step_down,
    stepping_down,
    wipe,
)
from tests.support.servers import MongoServer, RedisServer, direct_client, running

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
async def own_redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    server = RedisServer(tmp_path_factory.mktemp("own-redis"))
    async with running(server):
        yield server


@pytest.fixture(scope="module")
async def own_mongo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    server = MongoServer(tmp_path_factory.mktemp("own-mongo"))
    async with running(server):
        yield server


async def test_a_flushed_redis_goes_on_without_its_data(own_redis: RedisServer) -> None:
    async with _redis(own_redis) as client:
        await client.set("a", 1)
        pid = own_redis.pid
        await flush(own_redis)

        assert await client.get("a") is None
        assert own_redis.pid == pid


async def test_a_redis_killed_with_its_log_keeps_its_data(
    own_redis: RedisServer,
) -> None:
    async with _redis(own_redis) as client:
        await client.set("a", 1)

    pid = own_redis.pid
    await restart(own_redis)
    async with _redis(own_redis) as client:
        assert await client.get("a") == b"1"
        assert own_redis.pid != pid


async def test_a_wiped_redis_has_nothing_after_its_start(
    own_redis: RedisServer,
) -> None:
    async with _redis(own_redis) as client:
        await client.set("a", 1)

    await wipe(own_redis)
    async with _redis(own_redis) as client:
        assert await client.dbsize() == 0


async def test_an_older_copy_brings_back_what_was_then(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async with _redis(own_redis) as client:
        await client.set("a", "then")
        await _on_disk(client)
        copy = await copy_of(own_redis, tmp_path / "copy")
        await client.set("a", "now")

    await restore(own_redis, copy)
    async with _redis(own_redis) as client:
        assert await client.get("a") == b"then"


async def test_a_killed_connection_is_one_error_and_then_fine(
    own_redis: RedisServer,
) -> None:
    async with _redis(own_redis) as client:
        await client.ping()
        await kill_connections(own_redis)
        with pytest.raises(RedisGone):
            await client.ping()

        assert await client.ping()


async def test_connections_are_lost_again_and_again(own_redis: RedisServer) -> None:
    lost = 0
    async with _redis(own_redis) as client, losing_connections(own_redis, 0.05):
        for _ in range(40):
            try:
                await client.ping()
            except RedisGone:
                lost += 1

            await anyio.sleep(0.01)

    assert lost >= 2


async def test_a_redis_without_memory_refuses_writes_until_it_has_some(
    own_redis: RedisServer,
) -> None:
    async with _redis(own_redis) as client:
        async with short_of_memory(own_redis, "1kb"):
            with pytest.raises(OutOfMemoryError):
                await client.xadd("work", {"n": 1})

        assert await client.xadd("work", {"n": 1})


async def test_a_redis_that_follows_another_takes_no_writes(
    own_redis: RedisServer,
) -> None:
    async with _redis(own_redis) as client:
        async with read_only(own_redis):
            with pytest.raises(ReadOnlyError):
                await client.set("a", 1)

        assert await client.set("a", 1)


async def test_a_held_up_redis_answers_once_it_goes_on(own_redis: RedisServer) -> None:
    async with _redis(own_redis, socket_timeout=0.3) as client:
        await client.ping()
        own_redis.child.hold()
        try:
            with pytest.raises(RedisSlow):
                await client.ping()
        finally:
            own_redis.child.go_on()

        assert await client.ping()


async def test_a_killed_mongod_keeps_what_it_acknowledged(
    own_mongo: MongoServer,
) -> None:
    async with _mongo(own_mongo) as client:
        await client.things.kept.insert_one({"_id": 1})

    await restart(own_mongo)
    async with _mongo(own_mongo) as client:
        assert await client.things.kept.count_documents({}) == 1


async def test_a_primary_that_steps_down_comes_back(own_mongo: MongoServer) -> None:
    async with _mongo(own_mongo) as client:
        began = time.monotonic()
        await step_down(own_mongo, seconds=1)
        with pytest.raises((NotPrimaryError, AutoReconnect)):
            await client.things.other.insert_one({})

        assert await until(lambda: _takes_a_write(client), within_s=15)

    assert time.monotonic() - began >= 1


async def test_a_primary_may_step_down_again_and_again(own_mongo: MongoServer) -> None:
    fates = []
    async with _mongo(own_mongo) as client, stepping_down(own_mongo, 2, seconds=1):
        with anyio.move_on_after(6):
            while True:
                fates.append(await _takes_a_write(client))
                await anyio.sleep(0.05)

    turns = sum(a and not b for a, b in pairwise(fates))
    assert turns >= 1
    async with _mongo(own_mongo) as client:
        assert await until(lambda: _takes_a_write(client), within_s=15)


async def test_only_the_named_commands_fail_and_so_many_times(
    own_mongo: MongoServer,
) -> None:
    fails = failing(own_mongo, ["insert"], 1, errorCode=10107)
    async with _mongo(own_mongo) as client, fails:
        assert await client.things.other.count_documents({}) >= 0
        with pytest.raises(NotPrimaryError):
            await client.things.other.insert_one({})

        assert await _takes_a_write(client)


async def _on_disk(client: Redis) -> None:
    """Return when the append-only file holds everything that was written."""

    async def flushed() -> bool:
        told: Any = await client.info("persistence")
        return bool(told["aof_pending_bio_fsync"] == 0)

    assert await until(flushed)


async def _takes_a_write(client: AsyncMongoClient[dict[str, Any]]) -> bool:
    try:
        await client.things.other.insert_one({})
    except PyMongoError:
        return False

    return True


@asynccontextmanager
async def _redis(
    server: RedisServer, socket_timeout: float = 5
) -> AsyncIterator[Redis]:
    """A client that tries nothing twice."""
    patience: Any = {"retry": Retry(NoBackoff(), 0), "socket_timeout": socket_timeout}
    async with Redis(port=server.port, **patience) as client:
        yield client


def _mongo(server: MongoServer) -> AsyncMongoClient[dict[str, Any]]:
    return direct_client(server.address, 5)
