"""The promises of every model, whatever stands behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from contracts import FunctionResult, FunctionTool, ModelAnswer, ModelRequest, SaidText
from llm import Model, ModelChoice, ModelEvent, Price, TextDelta, answer_of, open_model
from tests.support.clock import FakeClock
from tests.support.responses_server import Reply, answer, responses_server, says, sse

SAID = "Привет, 👩‍👩‍👧 — said in one go."
PRICES = {"model-1": Price(2.0, 8.0)}
WEATHER = FunctionTool(
    name="weather", description="Of a place.", parameters={"type": "object"}
)
LIMIT_S = 5.0


class Subject(NamedTuple):
    """A model, and how it is told what to say next."""

    model: Model
    will: Callable[[str, list[tuple[str, Any]]], Awaitable[None]]
    will_fail: Callable[[], Awaitable[None]]
    will_hang: Callable[[], Awaitable[None]]


Open = Callable[[Path, AsyncExitStack], Awaitable[Subject]]


async def _openai_responses(_: Path, life: AsyncExitStack) -> Subject:
    server = await life.enter_async_context(responses_server())
    choice = ModelChoice(
        "openai_responses", "model-1", "sk-test", server.url, prices=PRICES
    )
    model = await life.enter_async_context(open_model(choice, FakeClock()))

    async def will(text: str, calls: list[tuple[str, Any]]) -> None:
        server.will(says(text, *calls))

    async def will_fail() -> None:
        error = {"error": {"code": "model_not_found", "message": "No such model."}}
        server.will(Reply([json.dumps(error).encode()], status=404))

    async def will_hang() -> None:
        server.will(Reply([sse(answer("never")[0])], hangs=True))

    return Subject(model, will, will_fail, will_hang)


async def _scripted(folder: Path, life: AsyncExitStack) -> Subject:
    opened: dict[str, Model] = {}

    class Latest:
        """The model of the script that was written last."""

        provider, name = "scripted", "model-1"

        def stream(self, request: ModelRequest, *, timeout_s: float) -> Any:
            return opened["now"].stream(request, timeout_s=timeout_s)

        def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
            return opened["now"].worst_cost(request)

        async def close(self) -> None:
            await opened["now"].close()

    async def write(then: dict[str, Any]) -> None:
        path = folder / "script.json"
        path.write_text(json.dumps({"lines": [{"then": then}]}), encoding="utf-8")
        choice = ModelChoice("scripted", "model-1", script=path, prices=PRICES)
        opened["now"] = await life.enter_async_context(open_model(choice, FakeClock()))

    async def will(text: str, calls: list[tuple[str, Any]]) -> None:
        told = [{"name": name, "arguments": given} for name, given in calls]
        await write({"text": text, "calls": told})

    async def will_fail() -> None:
        error = {"ending": "failed", "code": "model_rejected", "message": "No."}
        await write({"error": error})

    async def will_hang() -> None:
        await write({"text": "never", "delay_s": 60})

    return Subject(Latest(), will, will_fail, will_hang)


@pytest.fixture(params=[_openai_responses, _scripted], ids=lambda open_: open_.__name__)
async def subject(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Subject]:
    async with AsyncExitStack() as life:
        yield await request.param(tmp_path, life)


def asked(*tools: FunctionTool, **more: Any) -> ModelRequest:
    said = SaidText(role="user", text="Hello")
    return ModelRequest(instructions="Be kind.", input=(said,), tools=tools, **more)


async def events_of(model: Model, request: ModelRequest) -> list[ModelEvent]:
    async with model.stream(request, timeout_s=LIMIT_S) as events:
        return [event async for event in events]


async def test_a_stream_is_deltas_and_then_one_answer(subject: Subject) -> None:
    await subject.will(SAID, [])

    *deltas, last = await events_of(subject.model, asked())

    assert isinstance(last, ModelAnswer)
    assert (last.ending, last.text, last.code) == ("completed", SAID, "")
    pieces = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    assert len(pieces) == len(deltas) > 1
    assert "".join(pieces) == SAID
    assert last.provider == subject.model.provider


async def test_calls_are_told_with_the_answer_and_in_its_order(
    subject: Subject,
) -> None:
    given = {"place": "Kyiv", "days": 2}
    await subject.will("", [("weather", given), ("weather", {})])

    got = await answer_of(subject.model, asked(WEATHER), timeout_s=LIMIT_S)

    assert [call.name for call in got.calls] == ["weather", "weather"]
    assert [json.loads(call.arguments) for call in got.calls] == [given, {}]
    assert len({call.call_id for call in got.calls}) == 2


async def test_a_conversation_goes_on_after_a_call(subject: Subject) -> None:
    await subject.will("", [("weather", {})])
    first = await answer_of(subject.model, asked(WEATHER), timeout_s=LIMIT_S)
    await subject.will("Rain.", [])
    result = FunctionResult(call_id=first.calls[0].call_id, output='{"rain": true}')
    more = asked(WEATHER).model_copy(
        update={"input": (*asked().input, *first.calls, result)}
    )

    got = await answer_of(subject.model, more, timeout_s=LIMIT_S)

    assert (got.ending, got.text, got.calls) == ("completed", "Rain.", ())


async def test_usage_is_told_with_its_cost(subject: Subject) -> None:
    await subject.will("Four words or so.", [])

    usage = (await answer_of(subject.model, asked(), timeout_s=LIMIT_S)).usage

    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert not usage.is_estimate
    due = (usage.input_tokens * 2.0 + usage.output_tokens * 8.0) / 1_000_000
    assert usage.cost == pytest.approx(due)


async def test_no_call_uses_more_than_was_foretold(subject: Subject) -> None:
    await subject.will("Hello there", [])
    request = asked(max_output_tokens=50)

    usage = (await answer_of(subject.model, request, timeout_s=LIMIT_S)).usage
    tokens, cost = subject.model.worst_cost(request)

    assert usage.tokens <= tokens
    assert usage.cost <= cost


async def test_what_goes_wrong_is_an_answer_and_raises_nothing(
    subject: Subject,
) -> None:
    await subject.will_fail()

    *deltas, last = await events_of(subject.model, asked())

    assert deltas == []
    assert isinstance(last, ModelAnswer)
    assert (last.ending, last.code) == ("failed", "model_rejected")
    assert last.message
    assert last.calls == ()


async def test_a_call_ends_by_its_deadline(subject: Subject) -> None:
    await subject.will_hang()

    with anyio.fail_after(2):
        got = await answer_of(subject.model, asked(), timeout_s=0.2)

    assert (got.ending, got.code) == ("timed_out", "model_timeout")


async def test_a_reader_may_leave_at_any_time(subject: Subject) -> None:
    await subject.will_hang()

    with anyio.fail_after(2):
        async with subject.model.stream(asked(), timeout_s=60):
            pass

        with anyio.move_on_after(0.1):
            await answer_of(subject.model, asked(), timeout_s=60)

    await subject.will("Still here.", [])
    got = await answer_of(subject.model, asked(), timeout_s=LIMIT_S)
    assert got.text == "Still here."


async def test_many_calls_at_once_are_kept_apart(subject: Subject) -> None:
    await subject.will(SAID, [])
    got: list[str] = []

    async def ask() -> None:
        got.append((await answer_of(subject.model, asked(), timeout_s=LIMIT_S)).text)

    async with anyio.create_task_group() as asking:
        for _ in range(20):
            asking.start_soon(ask)

    assert got == [SAID] * 20
