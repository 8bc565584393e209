"""The builtin tools: enough for examples, and for trying things out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from contracts import Clock, Fault, stamp
from runs.effects import CallResult, Failed, Retryable, Succeeded
from runs.tools.calling import Executor, ToolCall
from runs.tools.registry import missing

_LONGEST_SLEEP_S = 3_600.0


class BuiltinTools:
    """Executor of the tools that come with the product, by function or name."""

    def __init__(self, clock: Clock, http_get: Executor) -> None:
        self._clock = clock
        self._tools: dict[str, Executor] = {
            "echo": _echo,
            "http_get": http_get,
            "json_select": _json_select,
            "now": self._now,
            "raise": _raise,
            "sleep": self._sleep,
            "uuid": _uuid,
        }

    async def __call__(self, call: ToolCall) -> CallResult:
        """See Executor."""
        tool = self._tools.get(call.tool.function or call.tool.name)
        return missing(call) if tool is None else await tool(call)

    async def _sleep(self, call: ToolCall) -> CallResult:
        """``seconds``: how long, up to an hour."""
        seconds = call.input.get("seconds", 0)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_SLEEP_S:
            return _refused(f"seconds is a number from 0 to {_LONGEST_SLEEP_S:.0f}.")

        await self._clock.sleep(seconds)
        return Succeeded({"slept_s": seconds})

    async def _now(self, _: ToolCall) -> CallResult:
        return Succeeded({"now": stamp(self._clock.now())})


async def _echo(call: ToolCall) -> CallResult:
    return Succeeded(call.input)


async def _uuid(_: ToolCall) -> CallResult:
    return Succeeded({"uuid": str(uuid4())})


async def _json_select(call: ToolCall) -> CallResult:
    """``pointer`` (RFC 6901) into ``value``; ``default`` if nothing is there."""
    pointer = str(call.input.get("pointer", ""))
    if pointer and not pointer.startswith("/"):
        return _refused("pointer is empty or begins with a slash.")

    try:
        return Succeeded({"value": _select(call.input.get("value"), pointer)})
    except (KeyError, IndexError, ValueError, TypeError):
        if "default" in call.input:
            return Succeeded({"value": call.input["default"]})

        return _refused(f"Nothing is at {pointer!r}.")


def _select(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[_position(key)] if isinstance(value, list) else value[key]

    return value


def _position(key: str) -> int:
    if not key.isdecimal():
        raise ValueError(key)

    return int(key)


async def _raise(call: ToolCall) -> CallResult:
    """``code``, ``message``; ``permanent`` says whether trying again is useless.

    Unless told, it is for a tool that is not idempotent.
    """
    error = Fault(
        code=str(call.input.get("code", "tool_raised")),
        message=str(call.input.get("message", "The tool was asked to raise.")),
    )
    once = call.tool.effect == "non_idempotent"
    permanent = call.input.get("permanent", once)
    return Failed(error) if permanent else Retryable(error)


def _refused(message: str) -> Failed:
    return Failed(Fault(code="invalid", message=message))
