"""The Responses API: what is asked, what is made of its streams and its errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    FunctionCall,
    FunctionResult,
    FunctionTool,
    ModelAnswer,
    ModelRequest,
    SaidText,
)
from llm import Model, ModelChoice, Price, answer_of, open_model
from llm.openai_responses.reading import Reading
from tests.support.clock import FakeClock
from tests.support.polling import until
from tests.support.responses_server import (
    Reply,
    ResponsesServer,
    answer,
    responses_server,
    says,
    sse,
)

KEY = "sk-a-secret-of-ours"
CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@asynccontextmanager
async def asking(
    *replies: Reply, idle_s: float = 5.0, clock: FakeClock | None = None
) -> AsyncIterator[tuple[Model, ResponsesServer]]:
    """A model on a server that answers so."""
    async with responses_server(*replies) as server:
        choice = ModelChoice(
            "openai_responses",
            "model-1",
            KEY,
            server.url,
            idle_s=idle_s,
            prices={"model-1": Price(1.0, 1.0)},
        )
        async with open_model(choice, clock or FakeClock()) as model:
            yield model, server


def request(**more: Any) -> ModelRequest:
    said = SaidText(role="user", text="Hello")
    return ModelRequest(instructions="Be kind.", input=(said,), **more)


async def answered(*replies: Reply, **more: Any) -> ModelAnswer:
    async with asking(*replies, **more) as (model, _):
        return await answer_of(model, request(), timeout_s=5)


def refusing(status: int, code: str, message: str = "No.", **headers: str) -> Reply:
    error = {"error": {"code": code, "message": message}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([json.dumps(error).encode()], status=status, headers=named)


async def test_a_request_says_all_and_names_no_earlier_response() -> None:
    tool = FunctionTool(name="weather", description="Of a place.", parameters=CLOSED)
    more = request(
        tools=(tool,), output_schema=CLOSED, schema_name="place", temperature=0.5
    )
    call = FunctionCall(call_id="c1", name="weather", arguments="{}")
    result = FunctionResult(call_id="c1", output="rain")
    more = more.model_copy(update={"input": (*more.input, call, result)})
    async with asking(says("Hi")) as (model, server):
        await answer_of(model, more, timeout_s=5)

    [body] = server.asked
    assert body == {
        "model": "model-1",
        "instructions": "Be kind.",
        "input": [
            {"role": "user", "content": "Hello"},
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "weather",
                "arguments": "{}",
            },
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        ],
        "max_output_tokens": 4_096,
        "stream": True,
        "store": True,
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Of a place.",
                "parameters": CLOSED,
                "strict": True,
            }
        ],
        "text": {
            "format": {
                "type": "json_schema",
                "name": "place",
                "schema": CLOSED,
                "strict": True,
            }
        },
        "temperature": 0.5,
    }
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {**CLOSED, "required": []},
        {**CLOSED, "properties": {"city": {"type": "object"}}},
    ],
)
async def test_a_schema_that_leaves_something_open_is_not_strict(
    schema: dict[str, Any],
) -> None:
    async with asking(says("{}")) as (model, server):
        await answer_of(model, request(output_schema=schema), timeout_s=5)

    assert server.asked[0]["text"]["format"]["strict"] is False


async def test_what_is_done_wins_over_the_deltas() -> None:
    events = [dict(event) for event in answer("Hello, Ada")]
    for event in events:
        if event["type"] == "response.output_text.delta":
            event["delta"] = "x"

    got = await answered(Reply([sse(event) for event in events]))

    assert got.text == "Hello, Ada"


async def test_an_answer_that_is_told_in_pieces_alone_is_made_of_them() -> None:
    kept = {"response.created", "response.output_text.delta"}
    events = [event for event in answer("Hello, Ada") if event["type"] in kept]
    end = {"type": "response.completed", "response": {"id": "resp_1"}}

    got = await answered(Reply([sse(event) for event in [*events, end]]))

    assert (got.ending, got.text) == ("completed", "Hello, Ada")
    assert got.usage.is_estimate


async def test_unknown_and_odd_events_are_passed_over() -> None:
    odd: list[Any] = [
        {"type": "response.something_new", "output_index": []},
        {"type": "response.output_text.delta", "delta": 5},
        {"type": "response.output_item.done", "item": None},
        {"type": "response.output_item.added", "output_index": "one"},
    ]
    begin, *rest = answer("Hello")

    got = await answered(Reply([sse(event) for event in [begin, *odd, *rest]]))

    assert (got.ending, got.text) == ("completed", "Hello")


@pytest.mark.parametrize(
    ("terminal", "ending", "code"),
    [
        (
            {
                "type": "response.incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            "incomplete",
            "llm_incomplete",
        ),
        (
            {
                "type": "response.failed",
                "error": {"code": "invalid_prompt", "message": "No."},
            },
            "failed",
            "model_rejected",
        ),
        ({"status": "failed"}, "failed", "model_rejected"),
        ({"status": "incomplete"}, "incomplete", "llm_incomplete"),
        (
            {
                "output": [
                    {
                        "type": "message",
                        "content": [{"type": "refusal", "refusal": "I will not."}],
                    }
                ]
            },
            "refused",
            "llm_refused",
        ),
    ],
)
async def test_every_terminal_has_its_name_and_no_call_but_of_a_completed_one(
    terminal: dict[str, Any], ending: str, code: str
) -> None:
    got = await answered(says("Hello", ("pay", {"amount": 1}), **terminal))

    assert (got.ending, got.code) == (ending, code)
    assert got.calls == ()


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "invalid_prompt", "message": "No."},
        {"type": "error", "error": {"code": "invalid_prompt", "message": "No."}},
    ],
)
async def test_an_error_event_is_read_in_both_its_forms(event: dict[str, Any]) -> None:
    got = await answered(Reply([sse(answer("x")[0]), sse(event)]))

    assert (got.ending, got.code, got.calls) == ("failed", "model_rejected", ())
    assert got.message == "The provider says: No."


async def test_a_stream_that_ends_without_an_answer_is_cut_off() -> None:
    pieces = [sse(event) for event in answer("Hello")[:-1]]

    got = await answered(Reply(pieces))

    assert (got.ending, got.code) == ("cut_off", "llm_incomplete")
    assert got.usage.is_estimate


async def test_a_stream_that_breaks_after_a_piece_is_not_tried_again() -> None:
    pieces = [sse(event) for event in answer("Hello")[:4]]
    async with asking(Reply(pieces, breaks=True), says("Again")) as (model, server):
        got = await answer_of(model, request(), timeout_s=5)

    assert (got.ending, got.attempts, len(server.asked)) == ("cut_off", 1, 1)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.integers(0, 3), st.data())
def test_cut_anywhere_before_its_terminal_a_stream_is_never_complete(
    text: str, calls: int, data: st.DataObject
) -> None:
    made = answer(text, *[("pay", {"amount": n}) for n in range(calls)])
    body = b"".join(map(sse, made))
    whole = len(body) - len(sse(made[-1]))
    cut = data.draw(st.integers(0, whole))

    reading = _read(body[:cut])

    assert reading.told is None
    assert _read(body).told is not None


async def test_cut_at_every_byte_of_its_terminal_it_is_an_error() -> None:
    made = answer("Hi", ("pay", {"amount": 5}))
    body = b"".join(map(sse, made))
    first = len(body) - len(sse(made[-1]))
    clock = FakeClock()
    async with asking(clock=clock) as (model, server):
        for cut in [0, 1, *range(first, len(body) - 2, 7), len(body) - 3]:
            server.will(Reply([body[:cut]]))
            got = await _patiently(clock, model)
            assert (got.ending, got.code) == ("cut_off", "llm_incomplete")
            assert got.calls == ()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_a_busy_provider_is_asked_again_and_not_for_ever(status: int) -> None:
    clock = FakeClock()
    busy = refusing(status, "server_error")
    async with asking(busy, busy, says("Hi"), clock=clock) as (model, server):
        got = await _patiently(clock, model)
        assert (got.ending, got.attempts) == ("completed", 3)

        server.will(busy)
        got = await _patiently(clock, model)

    assert (got.ending, got.code, got.attempts) == (
        "unavailable",
        "model_unavailable",
        3,
    )
    assert got.usage.tokens == 0


@pytest.mark.parametrize(
    ("headers", "waited_s"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Sat, 21 Nov 2026 00:00:09 GMT"}, 9.0),
        ({"retry_after": "soon"}, 0.5),
    ],
)
async def test_a_provider_is_given_the_pause_it_asks_for(
    headers: dict[str, str], waited_s: float
) -> None:
    clock = FakeClock()
    busy = refusing(429, "rate_limit_exceeded", **headers)
    async with asking(busy, says("Hi"), clock=clock) as (model, _):
        got = await _patiently(clock, model)

    assert got.attempts == 2
    assert clock.monotonic() == pytest.approx(waited_s, abs=0.25)


@pytest.mark.parametrize(
    ("reply", "ending", "code"),
    [
        (refusing(429, "insufficient_quota"), "unavailable", "model_quota"),
        (
            refusing(429, "rate_limit_exceeded", "Request too large for model-1"),
            "failed",
            "model_rejected",
        ),
        (
            refusing(429, "rate_limit_exceeded", retry_after="3600"),
            "unavailable",
            "model_unavailable",
        ),
        (refusing(400, "invalid_request_error"), "failed", "model_rejected"),
        (refusing(401, "invalid_api_key"), "failed", "model_rejected"),
        (Reply([b"<html>"], status=404), "failed", "model_rejected"),
    ],
)
async def test_what_will_not_pass_is_tried_once(
    reply: Reply, ending: str, code: str
) -> None:
    async with asking(reply) as (model, server):
        got = await answer_of(model, request(), timeout_s=5)

    assert (got.ending, got.code, len(server.asked)) == (ending, code, 1)


async def test_no_key_is_shown_by_an_error_of_the_provider() -> None:
    told = f"Incorrect API key provided: {KEY}."
    for status in (401, 400, 500):
        got = await answered(refusing(status, "invalid_api_key", told))
        assert KEY not in got.model_dump_json()


async def test_silence_ends_a_call_though_the_connection_is_kept_alive() -> None:
    pieces = [sse(answer("Hello")[0]), *[b": still here\n\n"] * 200]

    got = await answered(Reply(pieces, pause_s=0.02), idle_s=0.3)

    assert (got.ending, got.code) == ("timed_out", "model_timeout")


async def test_whoever_leaves_closes_the_connection() -> None:
    async with asking(Reply([sse(answer("x")[0])], hangs=True)) as (model, server):
        async with model.stream(request(), timeout_s=60):
            assert await until(lambda: _was_asked(server))

        with anyio.fail_after(2):
            await server.gone.wait()


async def test_an_answer_beyond_all_measure_is_given_up() -> None:
    delta = {"type": "response.output_text.delta", "delta": "x" * 100_000}
    begin, *_ = answer("x")

    got = await answered(Reply([sse(begin), *[sse(delta)] * 3]))

    assert (got.ending, got.code) == ("too_large", "llm_too_large")


async def test_a_function_without_a_name_is_no_call() -> None:
    got = await answered(says("", ("", {})))

    assert (got.ending, got.code, got.calls) == ("failed", "llm_bad_output", ())


@pytest.mark.parametrize(
    "usage", [{}, {"input_tokens": -1, "output_tokens": 5}, {"input_tokens": "many"}]
)
async def test_usage_that_cannot_be_is_counted_at_the_most(
    usage: dict[str, Any],
) -> None:
    async with asking(says("Hello", usage=usage or {"none": 0})) as (model, _):
        got = await answer_of(model, request(), timeout_s=5)
        most, _ = model.worst_cost(request())

    assert got.usage.is_estimate
    assert got.usage.tokens == most


async def test_a_surrogate_pair_that_is_cut_in_two_is_whole_again() -> None:
    begin, *_ = answer("x")
    halves = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": half}
        for half in ("a\ud83d", "\ude00b", "\ud83d")
    ]
    end = {"type": "response.completed", "response": {"id": "resp_1"}}
    pieces: list[str] = []
    async with asking(Reply([sse(one) for one in [begin, *halves, end]])) as (model, _):
        got = await answer_of(model, request(), timeout_s=5, on_text=pieces.append)

    assert got.text == "a😀b\ufffd"
    assert "".join(pieces) == "a😀b"


async def _was_asked(server: ResponsesServer) -> bool:
    return bool(server.asked)


async def _patiently(clock: FakeClock, model: Model) -> ModelAnswer:
    """The answer, with the time that is slept for on the way."""
    got: list[ModelAnswer] = []

    async def ask() -> None:
        got.append(await answer_of(model, request(), timeout_s=60))

    async with anyio.create_task_group() as asking_:
        asking_.start_soon(ask)
        while not got:
            await anyio.sleep(0.005)
            if clock.sleepers:
                await clock.advance(0.25)

    return got[0]


def _read(body: bytes) -> Reading:
    """A body read event by event, as far as its lines are whole."""
    reading = Reading()
    blocks = body.split(b"\n\n")
    for block, _ in pairwise(blocks):
        if reading.told is None:
            reading.take(json.loads(block.split(b"data: ", 1)[1]))

    return reading
