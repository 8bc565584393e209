"""Connections: few of one address idle, and no header takes for ever."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.abc import SocketStream

from contracts import LIMITS
from tests.support.doorway import Doorway, open_doorway, received, silent, told
from tests.support.polling import until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
MOST = 8


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many connections of one address may idle in these tests."""
    monkeypatch.setitem(LIMITS, "connections_per_address", MOST)
    return MOST


async def connect(doorway: Doorway, *, address: str = "127.0.0.1") -> SocketStream:
    """A connection from this address."""
    return await anyio.connect_tcp("127.0.0.1", doorway.port, local_host=address)


async def test_an_address_with_too_many_silent_connections_gets_no_more(
    few: int,
) -> None:
    async with open_doorway() as doorway, AsyncExitStack() as held:
        for _ in range(few):
            await held.enter_async_context(await connect(doorway))

        async with await connect(doorway) as one_more:
            answer = told(await received(one_more))

        assert (answer.status, answer.code) == (503, "too_many_connections")
        assert answer.headers["retry-after"] == "1"
        async with await connect(doorway, address="127.0.0.2") as other:
            await other.send(LAST)
            assert told(await received(other)).status == 200


async def test_connections_that_ended_are_forgotten(few: int) -> None:
    async with open_doorway() as doorway:
        for _ in range(3 * few):
            async with await connect(doorway):
                pass

        async def is_answered() -> bool:
            return told(await doorway.raw(LAST)).status == 200

        assert await until(is_answered)


async def test_a_connection_that_was_used_makes_room_for_a_new_one(few: int) -> None:
    async with open_doorway() as doorway, AsyncExitStack() as held:
        used = [await _used(doorway, held) for _ in range(few)]

        assert told(await doorway.raw(LAST)).status == 200
        assert await received(used[0]) == b""
        await used[-1].send(LAST)
        assert told(await received(used[-1])).status == 200


async def test_a_connection_at_work_does_not_count_as_idle(few: int) -> None:
    head = "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    async with open_doorway() as doorway, AsyncExitStack() as held:
        typed = "Content-Type: application/json\r\n"
        key = f"Authorization: Bearer {doorway.key}\r\n\r\n"
        for _ in range(2 * few):
            busy = await held.enter_async_context(await connect(doorway))
            await busy.send((head + typed + key).encode())
            await anyio.wait_all_tasks_blocked()

        assert told(await doorway.raw(LAST)).status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", HEALTH + b"GET /hea"])
async def test_a_header_that_drips_is_given_up(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setitem(LIMITS, "header_seconds", 0)
    async with open_doorway() as doorway, await connect(doorway) as slow:
        if sent:
            await slow.send(sent)

        raw = await received(slow)

    last = told(raw[raw.rindex(b"HTTP/1.1") :])
    assert (last.status, last.code) == (408, "body_incomplete")
    assert "header" in last.body.decode()


async def test_a_request_that_takes_longer_than_its_header_may_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LIMITS, "header_seconds", 0.02)
    async with open_doorway(silent, gate_deadline_s=0.1) as doorway:
        body = {"action": "workflow.run", "args": {"workflow": "greet"}}

        answer = await doorway.api.call("POST", "/decisions", body)

    assert (answer.status, answer.code) == (503, "gate_unavailable")


async def _used(doorway: Doorway, held: AsyncExitStack) -> SocketStream:
    """A connection that was answered once and is kept open."""
    stream = await held.enter_async_context(await connect(doorway))
    await stream.send(HEALTH)
    assert (await stream.receive()).startswith(b"HTTP/1.1 200")
    return stream
