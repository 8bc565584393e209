"""The calls of one run that are under way, each a named task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio

from contracts import ModelAnswer
from contracts.failpoints import reach
from llm import answer_of
from runs.effects import CallResult, Unknown
from runs.engine.failing import unknown_fault
from runs.engine.intents import Call
from runs.engine.notices import Notice, Notices
from runs.engine.ports import Ports
from runs.engine.thinking import ModelCall

_CLOSE_S = 2.0
_SLACK_S = 1.0
"""How much longer than its own deadline a call may take before it is given up."""


Result = CallResult | ModelAnswer | None


class CallsUnderWay:
    """Makes calls at the same time and keeps how they ended until that is collected."""

    def __init__(self, ports: Ports, ring: Callable[[], None]) -> None:
        """``ring`` is called whenever a call has ended."""
        self._tools = ports.tools
        self._model = ports.model
        self._notices = Notices(ports.store, ports.bus, ports.clock)
        self._ring = ring
        self._tasks: dict[str, asyncio.Task[Result]] = {}
        self._calls: dict[str, Call] = {}
        self._ended: list[tuple[str, Result]] = []

    def make(self, call: Call) -> None:
        """Begin a call whose intent is in the log."""
        name = f"call {call.run_id}/{call.node_id}"
        self._calls[call.node_id] = call
        task = asyncio.create_task(self._make(call), name=name)
        task.add_done_callback(partial(self._on_end, call))
        self._tasks[call.node_id] = task

    def ended(self) -> list[tuple[str, Result]]:
        """The calls that ended since the last time: node, result."""
        ended, self._ended = self._ended, []
        return ended

    def cancel_harmless(self) -> None:
        """Stop the calls that have no effect; the others are waited for."""
        for name, task in self._tasks.items():
            if _is_harmless(self._calls[name]) and not task.cancelling():
                task.cancel()

    async def close(self) -> None:
        """Give up what is under way: whoever has the run next finds it lost."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()

        if tasks:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                await asyncio.wait(tasks)

    async def _make(self, call: Call) -> Result:
        """Make it and wait for its end; some calls watch their own deadline."""
        if isinstance(call, Notice):
            return await self._notices.send(call)

        if isinstance(call, ModelCall):
            return await answer_of(self._model, call.request, timeout_s=call.timeout_s)

        slack = _SLACK_S if call.tool.kind == "http" else 0.0
        with anyio.move_on_after(call.timeout_s + slack):
            result = await self._tools.call(call)
            reach("B11")
            return result

        return Unknown("timeout", unknown_fault(call.node_id, "timeout"))

    def _on_end(self, call: Call, task: asyncio.Task[Result]) -> None:
        result = _canceled(call) if task.cancelled() else task.result()
        del self._tasks[call.node_id], self._calls[call.node_id]
        self._ended.append((call.node_id, result))
        self._ring()


def _is_harmless(call: Call) -> bool:
    """Whether it may be cut off without anybody's harm."""
    if isinstance(call, Notice):
        return False

    return isinstance(call, ModelCall) or call.tool.effect == "none"


def _canceled(call: Call) -> Result:
    if isinstance(call, ModelCall):
        return None

    return Unknown("canceled", unknown_fault(call.node_id, "canceled"))
