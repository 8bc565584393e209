"""The ways an effect can end, and the table that says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from contracts import Fault
from contracts.definitions import Tool

UnknownReason = Literal["timeout", "lost", "canceled"]


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It was done; ``breach`` says why the answer cannot be used."""

    output: Any
    breach: Fault | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not done, and will not be."""

    error: Fault


@dataclass(frozen=True, slots=True)
class Retryable:
    """It was not done, or may be repeated; not before ``after_s`` seconds."""

    error: Fault
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and whether it was done is not known."""

    reason: UnknownReason
    error: Fault


CallResult = Succeeded | Failed | Retryable | Unknown
"""How a call ended."""

_COME_AGAIN = frozenset({408, 425, 429})


def unsuccessful(
    tool: Tool, status: int, error: Fault, after_s: float | None = None
) -> CallResult:
    """What an HTTP status that is not 2xx says of a call.

    ===================  ================  =============================
    status               idempotent        not idempotent
    ===================  ================  =============================
    408, 425, 429        retry             retry
    5xx                  retry, same key   unknown, unless listed safe
    anything else        failed            failed
    ===================  ================  =============================
    """
    if status in _COME_AGAIN:
        return Retryable(error, after_s)

    if status < 500:
        return Failed(error)

    safe = tool.http is not None and status in tool.http.safe_statuses
    if tool.effect == "non_idempotent" and not safe:
        return Unknown("lost", error)

    return Retryable(error, after_s)
