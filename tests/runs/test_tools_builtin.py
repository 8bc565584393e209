"""The builtin tools."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import Fault, JsonObject, read
from contracts.definitions import Tool
from runs.effects import CallResult, Failed, Retryable, Succeeded
from runs.tools import BuiltinTools, ToolCall
from tests.support.clock import FakeClock


def a_call(name: str, given: dict[str, Any], effect: str = "none") -> ToolCall:
    tool: JsonObject = {
        "name": "mine",
        "kind": "builtin",
        "function": name,
        "effect": effect,
    }
    return ToolCall(
        tool=read(Tool, tool),
        input=given,
        key="run_1:act:0",
        timeout_s=5,
        tenant="default",
        subject="sub_ada",
        run_id="run_1",
        node_id="act",
        attempt=1,
    )


async def no_http(_: ToolCall) -> CallResult:
    return Succeeded({"http": True})


async def made(name: str, effect: str = "none", **given: Any) -> CallResult:
    tools = BuiltinTools(FakeClock(), no_http)
    return await tools(a_call(name, given, effect))


async def test_echo_answers_its_input() -> None:
    assert await made("echo", a=[1, None]) == Succeeded({"a": [1, None]})


async def test_a_tool_without_a_function_is_the_builtin_of_its_name() -> None:
    tool = read(Tool, {"name": "echo", "kind": "builtin", "effect": "none"})
    call = a_call("", {"a": 1})
    named = ToolCall(tool, *(getattr(call, name) for name in call.__slots__[1:]))

    assert await BuiltinTools(FakeClock(), no_http)(named) == Succeeded({"a": 1})


async def test_now_is_the_clocks_time() -> None:
    assert await made("now") == Succeeded({"now": "2026-11-21T00:00:00.000Z"})


async def test_no_two_uuids_are_equal() -> None:
    first, second = await made("uuid"), await made("uuid")

    assert first != second


async def test_http_get_goes_through_the_guarded_client() -> None:
    assert await made("http_get", url="https://x.test") == Succeeded({"http": True})


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("", {"a": [{"b/c": 1}]}), ("/a/0/b~1c", 1), ("/a/0", {"b/c": 1})],
)
async def test_json_select_follows_a_pointer(pointer: str, value: Any) -> None:
    result = await made("json_select", value={"a": [{"b/c": 1}]}, pointer=pointer)

    assert result == Succeeded({"value": value})


@pytest.mark.parametrize("pointer", ["/b", "/a/1", "/a/-1", "/a/x", "/a/0/b/c", "a"])
async def test_json_select_of_nothing_fails(pointer: str) -> None:
    result = await made("json_select", value={"a": [{"b": 1}]}, pointer=pointer)

    assert isinstance(result, Failed)


async def test_json_select_of_nothing_may_have_a_default() -> None:
    result = await made("json_select", value={}, pointer="/a", default=None)

    assert result == Succeeded({"value": None})


@pytest.mark.parametrize("seconds", [-1, 3_601, "1", None])
async def test_sleep_takes_up_to_an_hour(seconds: Any) -> None:
    assert isinstance(await made("sleep", seconds=seconds), Failed)


async def test_sleep_takes_no_time_but_the_clocks() -> None:
    assert await made("sleep", seconds=0) == Succeeded({"slept_s": 0})


@pytest.mark.parametrize(
    ("effect", "given", "kind"),
    [
        ("none", {}, Retryable),
        ("idempotent", {}, Retryable),
        ("non_idempotent", {}, Failed),
        ("none", {"permanent": True}, Failed),
        ("non_idempotent", {"permanent": False}, Retryable),
    ],
)
async def test_raise_raises_as_it_is_told(
    effect: str, given: dict[str, Any], kind: type[Failed | Retryable]
) -> None:
    result = await made("raise", effect, code="too_bad", message="Oh.", **given)

    assert isinstance(result, kind)
    assert result.error == Fault(code="too_bad", message="Oh.")


async def test_a_builtin_that_is_none_is_not_found() -> None:
    result = await made("format_disk")

    assert isinstance(result, Failed)
    assert result.error.code == "tool_not_found"
    assert result.error.details == {"missing_tool_id": "mine"}
