"""What a failed call proves about whether it was sent, and that none is repeated."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

import anyio
import pytest

from contracts import CallRefused, NotSent, SentNoAnswer, TemporaryError
from runs.effects.guarded_http import GuardedHttp, HttpCall, HttpPolicy, Progress
from tests.support.http_sink import (
    TLS_NAME,
    HttpSink,
    Reply,
    answer,
    hold,
    raw,
    redirect,
    reset,
    trusting_tls,
)

LOOPBACK = HttpPolicy(allow_private=("127.0.0.0/8", "::1"), timeout_s=5.0)
Failed = TypeVar("Failed", NotSent, SentNoAnswer)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as sink:
        yield sink


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    async with GuardedHttp(LOOPBACK, lookup=_here) as http:
        yield http


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound, so that nobody takes it, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue is full: connecting to it neither fails nor ends."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [_connecting(listening.getsockname()) for _ in range(4)]
        yield listening.getsockname()[1]
        for each in waiting:
            each.close()


@pytest.mark.parametrize("method", METHODS)
async def test_a_refused_connection_is_not_sent(
    http: GuardedHttp, closed_port: int, method: str
) -> None:
    call = HttpCall(method, f"http://127.0.0.1:{closed_port}/", body=b"x")
    assert (await _failed(http, call, NotSent)).code == "tool_unreachable"


async def test_an_unknown_host_is_not_sent() -> None:
    async with GuardedHttp(LOOPBACK, lookup=_nowhere) as http:
        await _failed(http, HttpCall("GET", "http://nowhere.test/"), NotSent)


async def test_a_host_without_addresses_is_not_sent() -> None:
    async with GuardedHttp(LOOPBACK, lookup=_nothing) as http:
        await _failed(http, HttpCall("GET", "http://nothing.test/"), NotSent)


async def test_a_resolver_that_hangs_is_not_sent() -> None:
    async with GuardedHttp(LOOPBACK, lookup=_hanging) as http:
        call = HttpCall("GET", "http://slow.test/", timeout_s=0.1)
        await _failed(http, call, NotSent)


async def test_a_connection_that_hangs_is_not_sent(
    http: GuardedHttp, deaf_port: int
) -> None:
    call = HttpCall("GET", f"http://127.0.0.1:{deaf_port}/", timeout_s=0.2)
    await _failed(http, call, NotSent)


async def test_a_certificate_nobody_vouches_for_is_not_sent(http: GuardedHttp) -> None:
    async with HttpSink(tls=True) as sink:
        await _failed(http, HttpCall("POST", sink.url("/", TLS_NAME)), NotSent)

    assert not sink.requests


async def test_a_certificate_of_another_name_is_not_sent() -> None:
    async with (
        HttpSink(tls=True) as sink,
        GuardedHttp(LOOPBACK, lookup=_here, tls=trusting_tls()) as http,
    ):
        await _failed(http, HttpCall("POST", sink.url("/", "other.test")), NotSent)

    assert not sink.requests


async def test_tls_with_a_plain_server_is_not_sent(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.url().replace("http:", "https:")
    await _failed(http, HttpCall("POST", url), NotSent)


async def test_the_next_address_is_tried_when_one_refuses(sink: HttpSink) -> None:
    async def both(_host: str) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with GuardedHttp(LOOPBACK, lookup=both) as http:
        got = await http.call(HttpCall("POST", sink.url("/", "two.test")))

    assert got.status == 200
    assert len(sink.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reply", [reset(), raw(b""), raw(b"HTTP/1.1 2", end="reset")])
async def test_a_request_without_an_answer_is_sent_once(
    sink: HttpSink, http: GuardedHttp, method: str, reply: Reply
) -> None:
    url = sink.script("/", reply)
    error = await _failed(http, HttpCall(method, url, body=b"x"), SentNoAnswer)
    assert (error.code, error.reason) == ("outcome_unknown", "reset")
    assert len(sink.requests) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_that_is_not_answered_in_time_is_sent_once(
    sink: HttpSink, http: GuardedHttp, method: str
) -> None:
    call = HttpCall(method, sink.script("/", hold()), body=b"x", timeout_s=0.2)
    assert (await _failed(http, call, SentNoAnswer)).reason == "timeout"
    assert len(sink.requests) == 1


async def test_a_body_that_is_not_taken_in_time_is_sent(http: GuardedHttp) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        call = HttpCall("POST", url, body=bytes(32 * 1_024 * 1_024), timeout_s=0.2)
        assert (await _failed(http, call, SentNoAnswer)).reason == "timeout"


async def test_the_policy_says_how_long_a_call_without_a_limit_takes(
    sink: HttpSink,
) -> None:
    policy = HttpPolicy(allow_private=("127.0.0.1",), timeout_s=0.1)
    async with GuardedHttp(policy) as http:
        await _failed(http, HttpCall("GET", sink.script("/", hold())), SentNoAnswer)


async def test_redirects_share_the_time_of_the_call(
    sink: HttpSink, http: GuardedHttp
) -> None:
    sink.script("/", redirect("/slow"))
    sink.script("/slow", hold())
    call = HttpCall("GET", sink.url(), timeout_s=0.3)
    assert (await _failed(http, call, SentNoAnswer)).reason == "timeout"


async def test_a_second_hop_that_fails_does_not_unsend_the_first(
    sink: HttpSink, http: GuardedHttp, closed_port: int
) -> None:
    url = sink.script("/", redirect(f"http://127.0.0.1:{closed_port}/"))
    assert (await _failed(http, HttpCall("GET", url), SentNoAnswer)).sent


async def test_an_early_answer_counts_although_the_body_was_not_taken(
    http: GuardedHttp,
) -> None:
    done = anyio.Event()

    async def refuse(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        await done.wait()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        got = await http.call(HttpCall("POST", url, body=bytes(16 * 1_024 * 1_024)))
        done.set()
        await anyio.sleep(0.01)

    assert (got.status, got.body) == (413, b"no")


async def test_a_cancelled_call_tells_how_far_it_came(
    sink: HttpSink, http: GuardedHttp
) -> None:
    progress = Progress()
    with anyio.move_on_after(0.2) as scope:
        await http.call(HttpCall("POST", sink.script("/", hold())), progress)

    assert scope.cancelled_caught
    assert progress.sent


async def test_a_call_cancelled_while_connecting_tells_that_nothing_was_sent() -> None:
    progress = Progress()
    async with GuardedHttp(LOOPBACK, lookup=_hanging) as http:
        with anyio.move_on_after(0.1) as scope:
            await http.call(HttpCall("POST", "http://slow.test/"), progress)

    assert scope.cancelled_caught
    assert not progress.sent


async def test_a_refused_call_was_not_sent(http: GuardedHttp) -> None:
    progress = Progress()
    with pytest.raises(CallRefused) as refused:
        await http.call(HttpCall("POST", "http://10.0.0.1/"), progress)

    assert not refused.value.sent
    assert not progress.sent


async def test_a_client_that_is_cancelled_leaves_no_task_and_no_connection(
    sink: HttpSink,
) -> None:
    url = sink.script("/", hold())
    before = asyncio.all_tasks()
    async with GuardedHttp(LOOPBACK) as http, anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(http.call, HttpCall("POST", url, body=bytes(999_999)))

        await sink.received(8)
        group.cancel_scope.cancel()

    ours = {each for each in asyncio.all_tasks() - before if not _of_sink(each)}
    assert not ours


async def test_calls_do_not_wait_for_each_other(
    sink: HttpSink, http: GuardedHttp
) -> None:
    slow = sink.script("/slow", answer(delay_s=0.3))
    statuses: list[int] = []

    async def call() -> None:
        statuses.append((await http.call(HttpCall("GET", slow))).status)

    with anyio.fail_after(3):
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call)

    assert statuses == [200] * 50


def test_both_ways_to_fail_are_temporary() -> None:
    assert issubclass(NotSent, TemporaryError)
    assert issubclass(SentNoAnswer, TemporaryError)
    assert SentNoAnswer(reason="canceled").reason == "canceled"


async def _failed(http: GuardedHttp, call: HttpCall, kind: type[Failed]) -> Failed:
    progress = Progress()
    with pytest.raises(kind) as failed:
        await http.call(call, progress)

    assert failed.value.sent == progress.sent
    return failed.value


def _of_sink(task: asyncio.Task[object]) -> bool:
    return "RequestHandler" in repr(task.get_coro())


def _connecting(address: tuple[str, int]) -> socket.socket:
    connecting = socket.socket()
    connecting.settimeout(0)
    connecting.connect_ex(address)
    return connecting


async def _here(_host: str) -> Sequence[str]:
    return ["127.0.0.1"]


async def _nothing(_host: str) -> Sequence[str]:
    return []


async def _nowhere(_host: str) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def _hanging(_host: str) -> Sequence[str]:
    await anyio.sleep_forever()
    return []
