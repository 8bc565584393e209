"""The calls of one run that are under way, each a named task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio

from contracts.failpoints import reach
from runs.effects import CallResult, Unknown
from runs.engine.failing import unknown_fault
from runs.tools import ToolCall, Tools

_CLOSE_S = 2.0
_SLACK_S = 1.0
"""How much longer than its own deadline a call may take before it is given up."""


class CallsUnderWay:
    """Makes calls at the same time and keeps how they ended until that is collected."""

    def __init__(self, tools: Tools, ring: Callable[[], None]) -> None:
        """``ring`` is called whenever a call has ended."""
        self._tools = tools
        self._ring = ring
        self._tasks: dict[str, asyncio.Task[CallResult]] = {}
        self._calls: dict[str, ToolCall] = {}
        self._ended: list[tuple[str, CallResult]] = []

    def make(self, call: ToolCall) -> None:
        """Begin a call whose intent is in the log."""
        name = f"call {call.run_id}/{call.node_id}"
        self._calls[call.node_id] = call
        task = asyncio.create_task(self._make(call), name=name)
        task.add_done_callback(partial(self._on_end, call))
        self._tasks[call.node_id] = task

    def ended(self) -> list[tuple[str, CallResult]]:
        """The calls that ended since the last time: node, result."""
        ended, self._ended = self._ended, []
        return ended

    def cancel_harmless(self) -> None:
        """Stop the calls that have no effect; the others are waited for."""
        for name, task in self._tasks.items():
            if self._calls[name].tool.effect == "none" and not task.cancelling():
                task.cancel()

    async def close(self) -> None:
        """Give up what is under way: whoever has the run next finds it lost."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()

        if tasks:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                await asyncio.wait(tasks)

    async def _make(self, call: ToolCall) -> CallResult:
        """Make it and wait for its end; an http call watches its own deadline."""
        slack = _SLACK_S if call.tool.kind == "http" else 0.0
        with anyio.move_on_after(call.timeout_s + slack):
            result = await self._tools.call(call)
            reach("B11")
            return result

        return Unknown("timeout", unknown_fault(call.node_id, "timeout"))

    def _on_end(self, call: ToolCall, task: asyncio.Task[CallResult]) -> None:
        canceled = Unknown("canceled", unknown_fault(call.node_id, "canceled"))
        result = canceled if task.cancelled() else task.result()
        del self._tasks[call.node_id], self._calls[call.node_id]
        self._ended.append((call.node_id, result))
        self._ring()
