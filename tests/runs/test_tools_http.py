"""HTTP tools: the request that is made, and the effect table by status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts import Clock, JsonObject, read
from contracts.definitions import Tool
from runs.effects import CallResult, Failed, Retryable, Succeeded, Unknown
from runs.effects.guarded_http import GuardedHttp, HttpPolicy
from runs.tools import Credential, HttpGet, HttpTools, ToolCall
from tests.support.clock import FakeClock
from tests.support.http_sink import HttpSink, answer, hold, raw, reset

HERE = HttpPolicy(allow_private=("127.0.0.1",))


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as opened:
        yield opened


def a_call(spec: dict[str, Any], effect: str = "idempotent", **more: Any) -> ToolCall:
    tool: JsonObject = {
        "name": "mine",
        "kind": "http",
        "effect": effect,
        "http": spec,
    }
    given: dict[str, Any] = {
        "tool": read(Tool, tool),
        "input": {"id": "a/b", "note": "hé\nx", "n": 2, "on": True, "tags": ["x", "y"]},
        "key": "run_1:act:0",
        "timeout_s": 5.0,
        "tenant": "default",
        "subject": "sub_ada",
        "run_id": "run_1",
        "node_id": "act",
        "attempt": 1,
    }
    return ToolCall(**{**given, **more})


async def made(
    call: ToolCall,
    clock: Clock | None = None,
    policy: HttpPolicy = HERE,
    **credentials: Credential,
) -> CallResult:
    async with GuardedHttp(policy) as http:
        return await HttpTools(http, clock or FakeClock(), credentials)(call)


async def test_the_request_is_the_definitions_with_its_blanks_filled_in(
    sink: HttpSink,
) -> None:
    sink.script("/items/a%2Fb", answer(200, b"{}"))
    spec = {
        "method": "PUT",
        "url": sink.url("/items/${input.id}"),
        "headers": {"X-Note": "${input.note}"},
        "query": {"n": "${input.n}", "on": "${input.on}", "tag": "${input.tags}"},
        "body": {"twice": "${input.n * 2}"},
        "idempotency_header": "Idempotency-Key",
    }
    await made(a_call(spec))

    (request,) = sink.requests

    assert request.method == "PUT"
    assert request.path in ("/items/a%2Fb", "/items/a/b")
    assert request.query["n"] == "2"
    assert request.query["on"] == "true"
    assert request.headers["x-note"] == "h%C3%A9%0Ax"
    assert request.headers["idempotency-key"] == "run_1:act:0"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"twice": 4}


@pytest.mark.parametrize(
    ("reply", "output"),
    [
        (
            answer(200, b'{"ok": [1]}', {"Content-Type": "application/json"}),
            {"ok": [1]},
        ),
        (answer(201, b"plain", {"Content-Type": "text/plain"}), {"text": "plain"}),
        (answer(204), {}),
    ],
)
async def test_the_output_is_the_answers_body(
    sink: HttpSink, reply: Any, output: Any
) -> None:
    url = sink.script("/x", reply)

    assert await made(a_call({"url": url})) == Succeeded(output)


async def test_an_answer_that_says_it_is_json_and_is_not_is_a_breach(
    sink: HttpSink,
) -> None:
    url = sink.script("/x", answer(200, b"{", {"Content-Type": "application/json"}))
    result = await made(a_call({"url": url}, "non_idempotent"))

    assert isinstance(result, Succeeded)
    assert result.breach is not None
    assert result.breach.code == "upstream_invalid"


@pytest.mark.parametrize("effect", ["none", "idempotent", "non_idempotent"])
@pytest.mark.parametrize(
    ("status", "repeatable", "once"),
    [
        (200, Succeeded, Succeeded),
        (299, Succeeded, Succeeded),
        (304, Failed, Failed),
        (400, Failed, Failed),
        (404, Failed, Failed),
        (408, Retryable, Retryable),
        (425, Retryable, Retryable),
        (429, Retryable, Retryable),
        (500, Retryable, Unknown),
        (502, Retryable, Unknown),
        (503, Retryable, Retryable),
    ],
)
async def test_the_effect_table_by_status(
    sink: HttpSink, status: int, repeatable: type, once: type, effect: str
) -> None:
    url = sink.script("/x", answer(status))
    spec = {"url": url, "safe_statuses": [503]}
    result = await made(a_call(spec, effect))

    assert isinstance(result, once if effect == "non_idempotent" else repeatable)
    assert len(sink.requests) == 1


async def test_what_was_provably_not_sent_may_be_tried_again() -> None:
    async with HttpSink() as gone:
        url = gone.url("/x")

    result = await made(a_call({"url": url}, "non_idempotent"))

    assert isinstance(result, Retryable)


@pytest.mark.parametrize(
    ("reply", "timeout_s", "reason"),
    [(reset(), 5.0, "lost"), (hold(), 0.1, "timeout")],
)
async def test_what_was_sent_and_not_answered_is_unknown(
    sink: HttpSink, reply: Any, timeout_s: float, reason: str
) -> None:
    url = sink.script("/x", reply)
    result = await made(a_call({"url": url}, timeout_s=timeout_s))

    assert isinstance(result, Unknown)
    assert result.reason == reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Sat, 21 Nov 2026 00:00:09 GMT", 9.0),
        ("Fri, 20 Nov 2026 00:00:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("soon", None),
    ],
)
async def test_retry_after_is_honoured_in_both_forms(
    sink: HttpSink, text: str, seconds: float | None
) -> None:
    url = sink.script("/x", answer(429, headers={"Retry-After": text}))
    result = await made(a_call({"url": url}))

    assert isinstance(result, Retryable)
    assert result.after_s == seconds


@pytest.mark.parametrize(
    ("status", "kind"), [(200, Succeeded), (404, Failed), (500, Unknown)]
)
async def test_an_answer_that_cannot_be_read_still_tells_by_its_status(
    sink: HttpSink, status: int, kind: type
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"
    url = sink.script("/x", raw(head.encode()))
    result = await made(a_call({"url": url}, "non_idempotent"))

    assert isinstance(result, kind)


async def test_inner_addresses_are_refused_and_nothing_is_sent(sink: HttpSink) -> None:
    result = await made(a_call({"url": sink.url("/x")}), policy=HttpPolicy())

    assert isinstance(result, Failed)
    assert result.error.code == "address_not_allowed"
    assert sink.requests == []


async def test_a_blank_that_cannot_be_filled_in_is_never_sent(sink: HttpSink) -> None:
    url = sink.url("/x/${input.missing}")
    result = await made(a_call({"url": url}))

    assert isinstance(result, Failed)
    assert sink.requests == []


async def test_a_credential_goes_to_its_hosts_for_its_owner_only(
    sink: HttpSink,
) -> None:
    url = sink.script("/x", answer(200))
    spec = {"url": url, "credential": "tickets"}
    ours = Credential("Authorization", ("127.0.0.1",), lambda: "Bearer s3cret")
    elsewhere = Credential("Authorization", ("api.test",), lambda: "Bearer s3cret")
    bobs = Credential("Authorization", ("127.0.0.1",), lambda: "x", owner="sub_bob")

    assert isinstance(await made(a_call(spec), tickets=ours), Succeeded)
    assert isinstance(await made(a_call(spec), tickets=elsewhere), Failed)
    assert isinstance(await made(a_call(spec), tickets=bobs), Failed)
    assert isinstance(await made(a_call(spec)), Failed)
    assert [r.headers["authorization"] for r in sink.requests] == ["Bearer s3cret"]


async def test_http_get_takes_its_url_from_data_under_the_same_guard(
    sink: HttpSink,
) -> None:
    url = sink.script("/x", answer(200, b"hello", {"Content-Type": "text/plain"}))
    call = a_call({"url": "https://unused.test/"}, input={"url": url})
    async with GuardedHttp(HERE) as http, GuardedHttp() as strict:
        allowed = await HttpGet(http, FakeClock())(call)
        refused = await HttpGet(strict, FakeClock())(call)

    assert allowed == Succeeded({"text": "hello"})
    assert isinstance(refused, Failed)
