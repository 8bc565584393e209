"""The context in Redis when it is away, slow, emptied, or written by others."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from contracts import ConfigurationError, StoreUnavailable
from store import ChatContext, open_context
from store.redis_context import RedisContext
from store.redis_context.keys import Keys
from tests.support.chats import CHAT, memory, numbers, raw, redis_context
from tests.support.polling import until
from tests.support.proxy import Manner, Proxy, open_proxy
from tests.support.servers import RedisServer, running
from tests.support.stored import TENANT

SPACE = "tests"
DEADLINE_S = 1.0
LATEST_S = DEADLINE_S + 0.9


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A server of the test's own, which may be stopped."""
    server = RedisServer(tmp_path / "redis")
    async with running(server):
        yield server


@contextmanager
def standing_still(server: RedisServer) -> Iterator[None]:
    """The server neither answers nor closes while the context lasts."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def refused_in_time(context: ChatContext) -> None:
    calls = (
        context.recall(TENANT, CHAT),
        context.append(TENANT, CHAT, memory(1, 1)),
        context.replace(TENANT, CHAT, memory(1, 1)),
        context.forget(TENANT, CHAT),
    )
    for call in calls:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as refused:
            await call

        assert refused.value.code == "redis_unavailable"
        assert time.monotonic() - began < LATEST_S


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
async def test_a_url_that_names_no_context_is_a_wrong_configuration(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"bus\.url") as refused:
        async with open_context(url):
            pass

    assert refused.value.code == "store_unusable"


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
async def test_a_wrong_url_of_a_context_does_not_tell_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        async with open_context(url):
            pass

    assert "hunter2" not in str(refused.value)


async def test_processes_of_one_namespace_share_a_context(
    redis_server: RedisServer,
) -> None:
    async with (
        open_context(redis_server.url, namespace="one") as first,
        open_context(redis_server.url, namespace="one") as second,
        open_context(redis_server.url, namespace="two") as stranger,
    ):
        await first.replace(TENANT, CHAT, memory(1, 3))

        assert numbers(await second.recall(TENANT, CHAT)) == [1, 2, 3]
        assert await stranger.recall(TENANT, CHAT) is None


async def test_a_context_opens_without_redis_and_heals_when_it_comes(
    tmp_path: Path,
) -> None:
    server = RedisServer(tmp_path / "redis")
    async with redis_context(server) as context:
        await refused_in_time(context)
        async with running(server):
            await context.append(TENANT, CHAT, memory(1, 1))
            assert numbers(await context.recall(TENANT, CHAT)) == [1]


async def test_a_context_heals_by_itself_after_the_server_was_killed(
    server: RedisServer,
) -> None:
    async with redis_context(server) as context:
        await context.append(TENANT, CHAT, memory(1, 2))
        await server.kill()
        await refused_in_time(context)
        await server.start()

        await context.append(TENANT, CHAT, memory(1, 3))
        assert numbers(await context.recall(TENANT, CHAT)) == [1, 2, 3]


async def test_a_restart_that_nobody_called_in_is_not_noticed(
    server: RedisServer,
) -> None:
    async with redis_context(server) as context:
        await context.append(TENANT, CHAT, memory(1, 2))
        await server.kill()
        await server.start()

        await context.replace(TENANT, CHAT, memory(1, 3))
        assert numbers(await context.recall(TENANT, CHAT)) == [1, 2, 3]


async def test_a_server_that_stands_still_is_waited_for_no_longer_than_promised(
    server: RedisServer,
) -> None:
    async with redis_context(server, deadline_s=DEADLINE_S) as context:
        await context.append(TENANT, CHAT, memory(1, 2))
        with standing_still(server):
            began = time.monotonic()
            async with anyio.create_task_group() as tasks:
                for _ in range(12):  # more than there are connections
                    tasks.start_soon(refused, context)

            assert time.monotonic() - began < LATEST_S

        await context.replace(TENANT, CHAT, memory(1, 3))
        assert numbers(await context.recall(TENANT, CHAT)) == [1, 2, 3]


async def refused(context: ChatContext) -> None:
    with pytest.raises(StoreUnavailable):
        await context.recall(TENANT, CHAT)


async def test_after_a_cancelled_call_the_next_gets_its_own_answer(
    server: RedisServer,
) -> None:
    async with redis_context(server) as context:
        for n in (1, 2):
            await context.append(TENANT, f"chat {n}", memory(1, n))

        for _ in range(6):  # more than there are connections
            with standing_still(server), anyio.move_on_after(0.05) as scope:
                await context.recall(TENANT, "chat 1")

            assert scope.cancelled_caught
            assert numbers(await context.recall(TENANT, "chat 2")) == [1, 2]


async def test_a_storm_of_cancelled_calls_leaves_every_answer_right(
    redis_server: RedisServer,
) -> None:
    dice = random.Random("storm")
    right: list[bool] = []

    async def ask(n: int) -> None:
        with anyio.move_on_after(dice.uniform(0, 0.02)):
            recalled = numbers(await context.recall(TENANT, f"chat {n}"))
            right.append(recalled == [*range(1, n + 1)])

    async with redis_context(redis_server, deadline_s=5.0) as context:
        for n in range(1, 10):
            await context.append(TENANT, f"chat {n}", memory(1, n))

        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(ask, dice.randint(1, 9))

        assert 0 < len(right) < 400
        assert all(right)
        assert numbers(await context.recall(TENANT, "chat 9")) == [*range(1, 10)]


async def test_a_rebuild_that_was_cut_off_did_not_happen(
    redis_server: RedisServer,
) -> None:
    old, new = memory(1, 3, "old"), memory(1, 5, "new")
    async with (
        open_proxy(redis_server.port) as proxy,
        RedisContext.open(proxied(proxy), namespace=SPACE) as context,
        redis_context(redis_server, namespace=SPACE) as direct,
    ):
        for sent in range(50, 500, 50):
            await direct.replace(TENANT, CHAT, old)
            await context.recall(TENANT, CHAT)
            proxy.behave(Manner(cut_after=sent), "there")
            with pytest.raises(StoreUnavailable):
                await context.replace(TENANT, CHAT, new)

            proxy.heal()
            assert await direct.recall(TENANT, CHAT) == old


async def test_a_write_whose_answer_was_lost_may_be_made_again(
    redis_server: RedisServer,
) -> None:
    async with (
        open_proxy(redis_server.port) as proxy,
        RedisContext.open(proxied(proxy), namespace=SPACE) as context,
    ):
        await context.replace(TENANT, CHAT, memory(1, 3, "old"))
        proxy.drop_replies(containing=b"ZADD")
        with pytest.raises(StoreUnavailable):
            await context.append(TENANT, CHAT, memory(4, 5, "new"))

        assert await context.recall(TENANT, CHAT) == memory(1, 5, "new")
        await context.append(TENANT, CHAT, memory(4, 5, "new"))
        assert await context.recall(TENANT, CHAT) == memory(1, 5, "new")


def proxied(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


async def test_a_server_that_lost_everything_holds_an_empty_context(
    server: RedisServer,
) -> None:
    async with redis_context(server) as context, raw(server) as client:
        await context.replace(TENANT, CHAT, memory(11, 30, "so far"))
        await client.flushall()
        assert await context.recall(TENANT, CHAT) is None

        await context.append(TENANT, CHAT, memory(31, 32, "later"))
        assert await context.recall(TENANT, CHAT) is None

        await context.replace(TENANT, CHAT, memory(13, 32, "later"))
        assert await context.recall(TENANT, CHAT) == memory(13, 32, "later")


@pytest.mark.parametrize("part", ["messages", "summary"])
async def test_half_of_a_context_that_was_evicted_takes_the_other_with_it(
    redis_server: RedisServer, part: str
) -> None:
    keys = Keys(SPACE).of(TENANT, CHAT)._asdict()
    async with (
        redis_context(redis_server, namespace=SPACE) as context,
        raw(redis_server) as client,
    ):
        await context.replace(TENANT, CHAT, memory(11, 30, "so far"))
        await client.delete(keys[part])

        assert await context.recall(TENANT, CHAT) is None


async def test_each_write_lets_both_parts_live_equally_long(
    redis_server: RedisServer,
) -> None:
    keys = Keys(SPACE).of(TENANT, CHAT)
    async with (
        redis_context(redis_server, namespace=SPACE, ttl_s=60) as context,
        raw(redis_server) as client,
    ):
        for more in (memory(1, 2, "so far"), memory(3, 3)):
            await context.append(TENANT, CHAT, more)
            left = [await client.pttl(key) for key in keys]
            assert all(50_000 < each <= 60_000 for each in left)
            for key in keys:
                await client.persist(key)


async def test_a_context_is_missing_once_its_time_is_over(
    redis_server: RedisServer,
) -> None:
    async with redis_context(redis_server, ttl_s=0.4) as context:
        await context.replace(TENANT, CHAT, memory(1, 2, "so far"))

        async def gone() -> bool:
            return await context.recall(TENANT, CHAT) is None

        assert not await gone()
        assert await until(gone)


@pytest.mark.parametrize(
    "member", [b"", b"{", b'{"n":2}', b'{"n":2,"later":1}', b"\xff"], ids=repr
)
async def test_what_cannot_be_read_counts_as_missing(
    redis_server: RedisServer, member: bytes
) -> None:
    keys = Keys(SPACE).of(TENANT, CHAT)
    async with (
        redis_context(redis_server, namespace=SPACE) as context,
        raw(redis_server) as client,
    ):
        await context.replace(TENANT, CHAT, memory(1, 1))
        await client.zadd(keys.messages, {member: 2})
        assert await context.recall(TENANT, CHAT) is None

        await context.replace(TENANT, CHAT, memory(1, 1))
        await client.set(keys.summary, b"\xff")
        assert await context.recall(TENANT, CHAT) is None


async def test_a_full_server_is_unavailable_and_can_still_be_read(
    server: RedisServer,
) -> None:
    async with redis_context(server) as context, raw(server) as client:
        await context.replace(TENANT, CHAT, memory(1, 2))
        await client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match="memory") as refused:
            await context.append(TENANT, CHAT, memory(3, 3))

        assert refused.value.code == "redis_unavailable"
        assert numbers(await context.recall(TENANT, CHAT)) == [1, 2]


def test_the_keys_of_a_conversation_can_be_read_by_people() -> None:
    keys = Keys("sluicegate").of("default", CHAT)

    assert keys.summary == "{sluicegate}:context:default:chat:-1001234567890:summary"
    assert keys.messages == keys.summary.replace("summary", "messages")
