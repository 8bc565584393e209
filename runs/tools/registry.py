"""Which executor calls which kind of tool."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from contracts import Fault
from contracts.definitions import ToolKind
from runs.effects import CallResult, Failed, Unknown
from runs.tools.calling import Executor, ToolCall

_log = structlog.get_logger()


class Tools:
    """Calls any tool by its kind."""

    def __init__(
        self, executors: Mapping[ToolKind, Executor], python_tools: tuple[str, ...] = ()
    ) -> None:
        """``python_tools`` are the functions this process knows, by name."""
        self._executors = dict(executors)
        self.python_tools = python_tools

    async def call(self, call: ToolCall) -> CallResult:
        """Make the call. Raises only cancellation."""
        executor = self._executors.get(call.tool.kind)
        if executor is None:
            return missing(call)

        try:
            return await executor(call)
        except Exception:  # noqa: BLE001 - a broken executor is an unknown outcome
            _log.exception(
                "alarm",
                alarm="executor_broken",
                run_id=call.run_id,
                tool=call.tool.name,
            )
            return Unknown("lost", Fault(code="internal", message="The call broke."))


def missing(call: ToolCall) -> Failed:
    """The tool is not on this worker."""
    return Failed(
        Fault(
            code="tool_not_found",
            message=f"No worker here can call the tool {call.tool.name!r}.",
            details={"missing_tool_id": call.tool.name},
        )
    )
