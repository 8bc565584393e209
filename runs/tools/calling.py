"""One call of a tool, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from contracts import JsonObject
from contracts.definitions import Tool
from runs.effects import CallResult


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that may be made now: its intent is in the run's log."""

    tool: Tool
    input: JsonObject
    key: str
    """``run:node:index``: equal on every attempt."""

    timeout_s: float
    tenant: str
    subject: str
    run_id: str
    node_id: str
    attempt: int


class Executor(Protocol):
    """Calls the tools of one kind.

    Guarantees: ``Retryable`` for a tool that is not idempotent means that it was
    provably not done; what is not known is said to be ``Unknown``.
    """

    async def __call__(self, call: ToolCall, /) -> CallResult:
        """Make the call. Raises only cancellation."""
