"""Python tools: functions an operator registered, never code from a request.

A function of the entry point group ``sluicegate.tools`` takes ``(input, context)`` and
returns JSON. It may be a coroutine function; any other runs in a thread.
TemporaryError says that it was not done and may be tried again, PermanentError that it
was not done; any other error leaves a tool that is idempotent to be tried again.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, cast

import anyio
import anyio.to_thread

from contracts import (
    ConfigurationError,
    Fault,
    JsonObject,
    PermanentError,
    TemporaryError,
)
from runs.effects import CallResult, Failed, Retryable, Succeeded
from runs.tools.calling import ToolCall
from runs.tools.registry import missing

GROUP = "sluicegate.tools"

_THREADS = 64
"""How many functions that are no coroutines run at a time."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a function may know of the call it serves."""

    tenant: str
    run_id: str
    node_id: str
    attempt: int
    key: str
    """The idempotency key: equal on every attempt."""

    timeout_s: float


ToolFunction = Callable[[JsonObject, ToolContext], Any]


def registered_functions() -> dict[str, ToolFunction]:
    """The functions of every installed package, by name.

    Raises ConfigurationError for one that cannot be loaded.
    """
    return {point.name: _load(point.name, point.load) for point in _points()}


def _points() -> tuple[Any, ...]:
    return tuple(entry_points(group=GROUP))


def _load(name: str, load: Callable[[], Any]) -> ToolFunction:
    try:
        function = load()
    except Exception as error:
        raise ConfigurationError(
            f"The tool {name!r} cannot be loaded: {error}"
        ) from error

    if not callable(function):
        raise ConfigurationError(f"The tool {name!r} is no function.")

    return cast(ToolFunction, function)


class PythonTools:
    """Executor of tools that are registered functions."""

    def __init__(self, functions: Mapping[str, ToolFunction]) -> None:
        self._functions = dict(functions)
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def __call__(self, call: ToolCall) -> CallResult:
        """See Executor."""
        function = self._functions.get(call.tool.function or call.tool.name)
        if function is None:
            return missing(call)

        try:
            output = await _run(function, call, self._threads)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return told(call, error)

        return answered(output)


def answered(output: Any) -> Succeeded:
    """The answer as the JSON it will be read as; what is no JSON is a breach."""
    try:
        return Succeeded(json.loads(json.dumps(output, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"What the tool returned is not JSON: {error}"
        return Succeeded(None, Fault(code="output_invalid", message=message))


def told(call: ToolCall, error: Exception) -> CallResult:
    """What an error that a tool raised says of the call."""
    if isinstance(error, TemporaryError):
        return Retryable(Fault.of(error), error.delay)

    if isinstance(error, PermanentError):
        return Failed(Fault.of(error))

    fault = Fault(code="tool_raised", message=f"{type(error).__name__}: {error}")
    once = call.tool.effect == "non_idempotent"
    return Failed(fault) if once else Retryable(fault)


async def _run(
    function: ToolFunction, call: ToolCall, threads: anyio.CapacityLimiter
) -> Any:
    context = ToolContext(
        tenant=call.tenant,
        run_id=call.run_id,
        node_id=call.node_id,
        attempt=call.attempt,
        key=call.key,
        timeout_s=call.timeout_s,
    )
    if inspect.iscoroutinefunction(function):
        return await cast(Awaitable[Any], function(call.input, context))

    return await anyio.to_thread.run_sync(
        function, call.input, context, abandon_on_cancel=True, limiter=threads
    )
