"""Tools that are registered python functions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from contracts import (
    ConfigurationError,
    JsonObject,
    PermanentError,
    TemporaryError,
    read,
)
from contracts.definitions import Tool
from runs.effects import CallResult, Failed, Retryable, Succeeded, Unknown
from runs.tools import PythonTools, ToolCall, ToolContext, Tools
from runs.tools.python import _load


def a_call(effect: str = "idempotent", **more: Any) -> ToolCall:
    tool = {"name": "mine", "kind": "python", "effect": effect, **more}
    return ToolCall(
        tool=read(Tool, tool),
        input={"n": 1},
        key="run_1:act:0",
        timeout_s=5,
        tenant="default",
        subject="sub_ada",
        run_id="run_1",
        node_id="act",
        attempt=2,
    )


async def made(
    function: Callable[[JsonObject, ToolContext], Any], effect: str = "idempotent"
) -> CallResult:
    return await PythonTools({"mine": function})(a_call(effect))


async def test_a_function_gets_input_and_context_in_a_thread_of_its_own() -> None:
    seen: list[Any] = []

    def function(given: JsonObject, context: ToolContext) -> JsonObject:
        seen.append((given, context.key, context.attempt, threading.current_thread()))
        return {"n": given["n"] + 1}

    result = await made(function)

    assert result == Succeeded({"n": 2})
    assert seen[0][:3] == ({"n": 1}, "run_1:act:0", 2)
    assert seen[0][3] is not threading.main_thread()


async def test_a_coroutine_function_runs_in_the_loop() -> None:
    async def function(given: JsonObject, _: ToolContext) -> JsonObject:
        return {"n": given["n"], "main": threading.current_thread().name}

    result = await made(function)

    assert result == Succeeded({"n": 1, "main": threading.main_thread().name})


async def test_the_answer_is_what_it_is_as_json() -> None:
    assert await made(lambda *_: {"t": (1, 2)}) == Succeeded({"t": [1, 2]})


@pytest.mark.parametrize("answer", [object(), {"x": float("nan")}, {"s": {1}}, b"x"])
async def test_an_answer_that_is_no_json_was_done_and_is_a_breach(answer: Any) -> None:
    result = await made(lambda *_: answer)

    assert isinstance(result, Succeeded)
    assert result.breach is not None
    assert result.breach.code == "output_invalid"


@pytest.mark.parametrize("effect", ["idempotent", "non_idempotent"])
@pytest.mark.parametrize(
    ("error", "idempotent", "once"),
    [
        (TemporaryError("Later.", delay=7), Retryable, Retryable),
        (PermanentError("Never."), Failed, Failed),
        (ValueError("Oh."), Retryable, Failed),
    ],
)
async def test_what_a_function_raises_says_what_became_of_the_call(
    error: Exception, idempotent: type, once: type, effect: str
) -> None:
    def function(*_: Any) -> None:
        raise error

    result = await made(function, effect)

    assert isinstance(result, idempotent if effect == "idempotent" else once)
    if isinstance(error, TemporaryError):
        assert isinstance(result, Retryable)
        assert result.after_s == 7


async def test_a_tool_may_name_another_function() -> None:
    tools = PythonTools({"other": lambda *_: {}})

    assert await tools(a_call(function="other")) == Succeeded({})


async def test_a_function_nobody_registered_is_not_found() -> None:
    result = await PythonTools({})(a_call())

    assert isinstance(result, Failed)
    assert result.error.code == "tool_not_found"


async def test_an_executor_that_breaks_leaves_an_unknown_outcome() -> None:
    async def broken(_: ToolCall) -> CallResult:
        raise RuntimeError("A bug of ours.")

    result = await Tools({"python": broken}).call(a_call())

    assert isinstance(result, Unknown)
    assert result.reason == "lost"


def test_a_registered_function_that_cannot_be_loaded_stops_the_start() -> None:
    def load() -> Any:
        raise ImportError("no such module")

    with pytest.raises(ConfigurationError, match="mine"):
        _load("mine", load)

    with pytest.raises(ConfigurationError, match="no function"):
        _load("mine", lambda: 3)
