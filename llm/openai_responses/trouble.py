"""What goes wrong at a provider, in our words, and whether a try may help; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from contracts import ModelEnding

MOST_WAIT_S = 30.0
"""A provider that wants a longer pause gets no other try within the call."""

_MOST_CHARS = 500
_TRIED_AGAIN = frozenset({408, 409, 429})
_BUSY = frozenset(
    {"rate_limit_exceeded", "server_error", "overloaded", "internal_error"}
)
_KEY = re.compile(r"\bsk-[\w*.-]+")


class Trouble(NamedTuple):
    """One try that brought no answer."""

    ending: ModelEnding
    code: str
    message: str
    may_pass: bool = False
    """Whether the same call may succeed a little later."""

    after_s: float | None = None
    """How long the provider asks to wait."""


def of_status(
    status: int, body: object, headers: Mapping[str, str], now: datetime
) -> Trouble:
    """An answer of this HTTP status."""
    error = body if isinstance(body, Mapping) else {}
    inner = error.get("error")
    error = inner if isinstance(inner, Mapping) else error
    code, message = (
        _text(error, "code") or _text(error, "type"),
        _text(error, "message"),
    )
    if status in (401, 403):
        told = f"The provider refuses the key ({status}): check llm.api_key."
        return Trouble("failed", "model_rejected", told)

    if status in _TRIED_AGAIN or status >= 500:
        return of_error(code, message or f"HTTP {status}", busy=True)._replace(
            after_s=pause_of(headers, now)
        )

    told = shown(message) or "no reason given"
    return Trouble("failed", "model_rejected", f"The provider says {status}: {told}")


def of_event(body: object) -> Trouble:
    """An error event of a stream, in one of its two forms."""
    error = body if isinstance(body, Mapping) else {}
    return of_error(
        _text(error, "code") or _text(error, "type"), _text(error, "message")
    )


def of_error(code: str, message: str, *, busy: bool = False) -> Trouble:
    """An error that the provider names, by its status or within a stream."""
    told = f"The provider says: {shown(message) or code or 'an error'}"
    if code == "insufficient_quota":
        return Trouble("unavailable", "model_quota", told)

    if "too large" in message.lower() or code == "context_length_exceeded":
        return Trouble("failed", "model_rejected", told)

    if busy or code in _BUSY:
        return Trouble("unavailable", "model_unavailable", told, may_pass=True)

    return Trouble("failed", "model_rejected", told)


def pause_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """What ``retry-after-ms`` or ``retry-after`` say, in seconds."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1_000

    given = headers.get("retry-after")
    seconds = _number(given)
    if seconds is not None or given is None:
        return seconds

    try:
        return max(0.0, (parsedate_to_datetime(given) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def shown(message: str) -> str:
    """A provider's words as they may be shown: short, and without a key."""
    return _KEY.sub("sk-…", message)[:_MOST_CHARS]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None

    return number if 0 <= number < 1e6 else None


def _text(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    return value if isinstance(value, str) else ""
