"""The proxy that disturbs links must do what it says, and nothing when it is healed."""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone

from tests.support.polling import until
from tests.support.proxy import Manner, Proxy, Way, open_proxy
from tests.support.servers import RedisServer

_SOON_S = 0.3


async def test_a_proxy_that_was_told_nothing_passes_every_byte() -> None:
    sent = bytes(range(256)) * 2_000
    async with _echo() as (proxy, received), _client(proxy) as client:
        await client.send(sent)
        got = await _receive(client, len(sent))

    assert got == sent
    assert bytes(received) == sent
    assert proxy.passed == {"there": len(sent), "back": len(sent)}


async def test_latency_holds_up_each_piece_and_heals_at_once() -> None:
    async with _echo() as (proxy, _), _client(proxy) as client:
        proxy.behave(Manner(latency_s=0.1, jitter_s=0.05))
        slow = await _round_trip(client)
        proxy.heal()
        quick = await _round_trip(client)

    assert 0.2 <= slow < 1.0
    assert quick < 0.1


async def test_latency_of_one_way_leaves_the_other_alone() -> None:
    async with _echo() as (proxy, received), _client(proxy) as client:
        proxy.behave(Manner(latency_s=30), "back")
        await client.send(b"hello")
        await _soon(lambda: bytes(received) == b"hello")
        with pytest.raises(TimeoutError), anyio.fail_after(_SOON_S):
            await client.receive()


async def test_a_rate_stretches_what_is_sent() -> None:
    async with _echo() as (proxy, _), _client(proxy) as client:
        proxy.behave(Manner(bytes_per_s=100_000), "there")
        began = time.monotonic()
        await client.send(bytes(20_000))
        await _receive(client, 20_000)

    assert 0.2 <= time.monotonic() - began < 2.0


@pytest.mark.parametrize("way", ["there", "back"])
async def test_a_black_hole_swallows_and_keeps_the_connection_open(way: Way) -> None:
    async with _echo() as (proxy, received), _client(proxy) as client:
        proxy.black_hole(way)
        await client.send(b"hello")
        with pytest.raises(TimeoutError), anyio.fail_after(_SOON_S):
            await client.receive()

        assert bytes(received) == (b"" if way == "there" else b"hello")
        assert proxy.connections == 1


async def test_a_connection_that_lost_bytes_stays_dead_after_the_hole() -> None:
    async with _echo() as (proxy, received), _client(proxy) as client:
        proxy.black_hole()
        await client.send(b"lost")
        await anyio.sleep(0.05)
        proxy.heal()
        await client.send(b"late")
        with pytest.raises(TimeoutError), anyio.fail_after(_SOON_S):
            await client.receive()

        async with _client(proxy) as new:
            assert await _round_trip(new) < _SOON_S

    assert bytes(received) == b"ping"


async def test_a_black_hole_accepts_and_says_nothing() -> None:
    async with _echo() as (proxy, _):
        proxy.black_hole()
        async with _client(proxy) as client:
            await client.send(b"hello")
            with pytest.raises(TimeoutError), anyio.fail_after(_SOON_S):
                await client.receive()


async def test_a_refusing_proxy_closes_new_connections_only() -> None:
    async with _echo() as (proxy, _), _client(proxy) as old:
        await _round_trip(old)
        proxy.refuse()
        async with _client(proxy) as new:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await new.receive()

        assert await _round_trip(old) < _SOON_S


async def test_a_reset_is_seen_as_one_by_the_client() -> None:
    async with _echo() as (proxy, _), _client(proxy) as client:
        await _round_trip(client)
        assert await proxy.reset() == 1
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await client.receive()

    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert caught.value.__cause__.errno == errno.ECONNRESET


@pytest.mark.parametrize("pieces", [(b"0123456789",), (b"0123", b"456789")])
async def test_a_cut_frame_arrives_in_part_and_is_reset(
    pieces: tuple[bytes, ...],
) -> None:
    async with _echo() as (proxy, received), _client(proxy) as client:
        proxy.behave(Manner(cut_after=7), "there")
        for piece in pieces:
            await client.send(piece)
            await anyio.sleep(0.05)

        await _soon(lambda: proxy.connections == 0)
        with pytest.raises(anyio.BrokenResourceError):
            await _receive(client, 10)

    assert bytes(received) == b"0123456"


async def test_a_dropped_reply_was_carried_out_and_the_next_is_given() -> None:
    async with _echo() as (proxy, received):
        proxy.drop_replies(times=1, containing=b"pay")
        async with _client(proxy) as client:
            await _round_trip(client)
            await client.send(b"pay")
            with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
                await client.receive()

        async with _client(proxy) as again:
            await again.send(b"pay")
            assert await again.receive() == b"pay"

    assert bytes(received) == b"pingpaypay"


async def test_jitter_of_one_seed_is_the_same_each_time() -> None:
    first, second, other = [await _lingers(seed) for seed in (7, 7, 8)]

    assert first == second
    assert first != other


async def test_an_absent_server_is_a_reset() -> None:
    async with _echo() as (proxy, _):
        pass

    async with open_proxy(proxy.port) as orphan, _client(orphan) as client:
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await client.receive()


async def test_a_dropped_reply_to_redis_leaves_one_entry_and_an_error(
    redis_server: RedisServer,
) -> None:
    await _flush(redis_server)
    async with open_proxy(redis_server.port) as proxy, _redis(proxy) as client:
        await client.ping()
        proxy.drop_replies(containing=b"XADD")
        with pytest.raises(RedisGone):
            await client.xadd("work", {"n": 1})

        assert await client.xlen("work") == 1


async def test_a_cut_command_is_not_carried_out_by_redis(
    redis_server: RedisServer,
) -> None:
    await _flush(redis_server)
    async with open_proxy(redis_server.port) as proxy, _redis(proxy) as client:
        await client.ping()
        proxy.behave(Manner(cut_after=20), "there")
        with pytest.raises(RedisGone):
            await client.xadd("work", {"n": 1})

        proxy.heal()
        assert await client.xlen("work") == 0


@asynccontextmanager
async def _echo() -> AsyncIterator[tuple[Proxy, bytearray]]:
    """A proxy in front of a server that sends back what it gets, and what it got."""
    received = bytearray()

    async def echo(stream: SocketStream) -> None:
        async with stream:
            try:
                async for piece in stream:
                    received.extend(piece)
                    await stream.send(piece)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610  no query of Django
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        async with open_proxy(port, seed=1) as proxy:
            yield proxy, received

        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _client(proxy: Proxy) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
        yield stream


@asynccontextmanager
async def _redis(proxy: Proxy) -> AsyncIterator[Redis]:
    """A client that tries nothing twice."""
    client = Redis(port=proxy.port, retry=Retry(NoBackoff(), 0), socket_timeout=2)
    async with client:
        yield client


async def _flush(server: RedisServer) -> None:
    async with Redis.from_url(server.url) as client:
        await client.flushall()


async def _round_trip(client: SocketStream) -> float:
    began = time.monotonic()
    await client.send(b"ping")
    assert await client.receive() == b"ping"
    return time.monotonic() - began


async def _receive(client: SocketStream, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        got.extend(await client.receive())

    return bytes(got)


async def _lingers(seed: int) -> list[float]:
    async with open_proxy(1, seed) as proxy:
        return [proxy._dice.uniform(0, 1) for _ in range(5)]


async def _soon(holds: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return holds()

    assert await until(asked, within_s=2)
