"""What the guarded client takes for an answer, and what it costs to be lied to."""

from __future__ import annotations

import gzip
import resource
import zlib
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import AnswerUnusable, SentNoAnswer
from runs.effects.guarded_http import GuardedHttp, HttpCall, HttpPolicy
from runs.effects.guarded_http.bodies import Body
from tests.support.http_sink import (
    HttpSink,
    Reply,
    answer,
    drip,
    gzip_bomb,
    huge,
    raw,
)

LOOPBACK = HttpPolicy(allow_private=("127.0.0.0/8",), timeout_s=5.0)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b"text " * 1_000, mtime=0)


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as sink:
        yield sink


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    async with GuardedHttp(LOOPBACK) as http:
        yield http


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", PACKED),
        ("x-gzip", PACKED),
        ("GZIP", PACKED),
        (
            "gzip",
            gzip.compress(b"text ", mtime=0) + gzip.compress(b"text " * 999, mtime=0),
        ),
        ("deflate", zlib.compress(b"text " * 1_000)),
        ("deflate", zlib.compress(b"text " * 1_000, wbits=-15)),
        ("identity", b"text " * 1_000),
    ],
)
async def test_a_packed_body_is_unpacked(
    sink: HttpSink, http: GuardedHttp, encoding: str, packed: bytes
) -> None:
    url = sink.script("/", answer(200, packed, {"Content-Encoding": encoding}))
    assert (await http.call(HttpCall("GET", url))).body == b"text " * 1_000


async def test_a_head_has_no_body_to_unpack(sink: HttpSink, http: GuardedHttp) -> None:
    url = sink.script("/", answer(200, PACKED, {"Content-Encoding": "gzip"}))
    got = await http.call(HttpCall("HEAD", url))
    assert (got.body, got.headers["content-length"]) == (b"", str(len(PACKED)))


@pytest.mark.parametrize(
    "reply",
    [
        raw(OK + b"\r\n", b"text"),
        raw(OK + b"content-length: 4\r\n\r\n", b"te", b"xt"),
        raw(CHUNKED, b"2\r\nte\r\n", b"2\r\nxt\r\n0\r\n\r\n"),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + OK + b"\r\ntext"),
        raw(OK + b"Content-Length: 4\r\n\r\ntext", end="hold"),
    ],
)
async def test_a_body_ends_as_its_head_says(
    sink: HttpSink, http: GuardedHttp, reply: Reply
) -> None:
    assert (await http.call(HttpCall("GET", sink.script("/", reply)))).body == b"text"


async def test_headers_are_text_in_lower_case(
    sink: HttpSink, http: GuardedHttp
) -> None:
    head = OK + b"X-A: 1\r\nx-a: 2\r\nX-B: \xe9\r\nX-C: \xc3\xa9\r\n\r\n"
    got = await http.call(HttpCall("GET", sink.script("/", raw(head))))
    assert got.headers == {"x-a": "1, 2", "x-b": "é", "x-c": "é"}


@pytest.mark.parametrize("size", [5 * 1_024 * 1_024, 5 * 1_024 * 1_024 + 1])
@pytest.mark.parametrize("packed", [False, True])
async def test_the_limit_is_five_mib_decoded(
    sink: HttpSink, http: GuardedHttp, size: int, packed: bool
) -> None:
    body = gzip.compress(bytes(size), 1) if packed else bytes(size)
    headers = {"Content-Encoding": "gzip"} if packed else None
    call = HttpCall("GET", sink.script("/", answer(200, body, headers)))
    if size == LOOPBACK.max_response_bytes:
        assert len((await http.call(call)).body) == size
    else:
        assert (await _unusable(http, call)).code == "response_too_large"


@pytest.mark.parametrize(
    "reply", [huge(), gzip_bomb(), huge({"Content-Length": str(10 * 1_024**3)})]
)
async def test_an_answer_without_measure_costs_neither_memory_nor_time(
    sink: HttpSink, http: GuardedHttp, reply: Reply
) -> None:
    call = HttpCall("GET", sink.script("/", reply))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with anyio.fail_after(4):
        unusable = await _unusable(http, call)

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (unusable.code, unusable.answered) == ("response_too_large", 200)
    assert unusable.sent
    assert grown < 64 * 1_024


@pytest.mark.parametrize(
    "reply",
    [
        drip(),
        raw(CHUNKED, b"5\r\nab", end="hold"),
        raw(OK + b"Content-Length: 4\r\n\r\nab", end="hold"),
        raw(OK + b"\r\nab", end="hold"),
    ],
)
async def test_a_body_without_an_end_is_cut_at_the_time_limit(
    sink: HttpSink, http: GuardedHttp, reply: Reply
) -> None:
    call = HttpCall("GET", sink.script("/", reply), timeout_s=0.2)
    with pytest.raises(SentNoAnswer) as cut, anyio.fail_after(4):
        await http.call(call)

    assert cut.value.reason == "timeout"
    assert cut.value.details == {"status": 200}


@pytest.mark.parametrize(
    "reply",
    [
        raw(OK + b"Content-Length: 4\r\n\r\nab"),
        raw(OK + b"Content-Length: 4\r\n\r\nab", end="reset"),
        raw(OK + b"\r\nab", end="reset"),
        raw(CHUNKED + b"5\r\nab"),
        raw(CHUNKED, b"2\r\nab\r\n"),
    ],
)
async def test_a_body_that_breaks_off_is_no_answer(
    sink: HttpSink, http: GuardedHttp, reply: Reply
) -> None:
    with pytest.raises(SentNoAnswer) as broken:
        await http.call(HttpCall("GET", sink.script("/", reply)))

    assert broken.value.reason == "reset"
    assert broken.value.details == {"status": 200}


@pytest.mark.parametrize(
    "reply",
    [
        raw(OK + b"X: " + b"a" * 1_048_576 + b"\r\n\r\n"),
        raw(OK + b"a" * 1_048_576 + b": x\r\n\r\n"),
        raw(OK + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n"),
        raw(OK + (b"X: " + b"a" * 1_000 + b"\r\n") * 100 + b"\r\n"),
        raw(OK + b"X: a\rSet-Cookie: b\r\n\r\n"),
        raw(OK + b"X: a\x00b\r\n\r\n"),
        raw(OK + b"X: a\x0bb\r\n\r\n"),
        raw(OK + b"X y: a\r\n\r\n"),
        raw(OK + b": a\r\n\r\n"),
        raw(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
        raw(OK + b"Content-Length: -2\r\n\r\nab"),
        raw(OK + b"Content-Length: 2, 2\r\n\r\nab"),
        raw(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        raw(CHUNKED + b"zz\r\nab"),
        raw(CHUNKED, b"2\r\nab\r\n", b"zz\r\nab", end="hold"),
        raw(CHUNKED, b"ffffffffffffffffff\r\nab", end="hold"),
        raw(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"),
        raw(b"HTTP/9.9 200 OK\r\n\r\n"),
        raw(b"HTTP/1.1 abc OK\r\n\r\n"),
        raw(b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nab"),
        answer(200, b"text", {"Content-Encoding": "gzip"}),
        answer(200, PACKED[:-9], {"Content-Encoding": "gzip"}),
        answer(200, PACKED[:-1] + b"x", {"Content-Encoding": "gzip"}),
        answer(200, PACKED, {"Content-Encoding": "gzip, gzip"}),
        answer(200, b"text", {"Content-Encoding": "br"}),
        answer(200, b"text", {"Content-Encoding": "zstd"}),
    ],
)
async def test_a_malformed_answer_is_upstream_invalid(
    sink: HttpSink, http: GuardedHttp, reply: Reply
) -> None:
    unusable = await _unusable(http, HttpCall("GET", sink.script("/", reply)))
    assert unusable.code == "upstream_invalid"
    assert unusable.sent
    assert len(sink.requests) == 1


async def test_what_follows_an_answer_is_never_the_next_one(
    sink: HttpSink, http: GuardedHttp
) -> None:
    url = sink.script("/", raw(OK + b"Content-Length: 2\r\n\r\nab", OK + b"\r\nevil"))
    assert (await http.call(HttpCall("GET", url))).body == b"ab"
    assert (await http.call(HttpCall("GET", sink.url("/other")))).body == b""


@given(st.binary(max_size=4_096), st.integers(1, 64), st.sampled_from([15, -15, 31]))
def test_a_body_is_the_same_in_pieces_of_any_size(
    body: bytes, size: int, window: int
) -> None:
    packer = zlib.compressobj(wbits=window)
    packed = packer.compress(body) + packer.flush()
    encoding = "gzip" if window == 31 else "deflate"
    unpacked = Body(encoding, limit=8_192, status=200)
    for start in range(0, len(packed), size):
        unpacked.add(packed[start : start + size])

    assert unpacked.whole() == body


@given(st.binary(max_size=4_096), st.integers(1, 4_096))
def test_a_body_never_holds_more_than_its_limit(packed: bytes, limit: int) -> None:
    body = Body("gzip", limit=limit, status=200)
    bomb = gzip.compress(bytes(limit + 1)) + packed
    with pytest.raises(AnswerUnusable):
        body.add(bomb)

    assert len(body._decoded) <= limit + 1


async def _unusable(http: GuardedHttp, call: HttpCall) -> AnswerUnusable:
    with pytest.raises(AnswerUnusable) as unusable:
        await http.call(call)

    return unusable.value
