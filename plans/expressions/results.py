"""Turns what an expression made into plain JSON of its own.

Times become UTC text with milliseconds, durations text in seconds (``1.500s``),
bytes base64.
"""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from contracts import InvalidInput

LARGEST_EXACT = 2**53 - 1
"""The largest integer that every JSON reader keeps."""

_UNCHANGED = frozenset((str, bool, type(None)))
_MICROSECOND = timedelta(microseconds=1)


def plain(value: Any) -> JsonValue:
    """A fresh JSON value equal to ``value``.

    Raises InvalidInput: number_out_of_range, number_invalid, or cel_type for what
    JSON cannot say (a type, a map whose keys are not text).
    """
    kind = type(value)

    if kind in _UNCHANGED:
        unchanged: JsonValue = value
        return unchanged

    if kind is list:
        return [plain(item) for item in value]

    if kind is dict:
        return {_key(key): plain(item) for key, item in value.items()}

    return _number(value) if kind in (int, float) else _text(value)


def _key(key: Any) -> str:
    if type(key) is not str:
        raise InvalidInput("a map's key is not text", code="cel_type")

    return key


def _number(value: float) -> float:
    if type(value) is int and abs(value) > LARGEST_EXACT:
        raise InvalidInput(code="number_out_of_range")

    if not math.isfinite(value):
        raise InvalidInput(code="number_invalid")

    return value


def _text(value: Any) -> str:
    match value:
        case datetime():
            return _utc(value)
        case timedelta():
            return _seconds(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case _:
            raise InvalidInput("a type is not a JSON value", code="cel_type")


def _utc(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _seconds(duration: timedelta) -> str:
    """Seconds with as many decimals as it takes: none, three or six."""
    microseconds = duration // _MICROSECOND
    sign = "-" if microseconds < 0 else ""
    whole, rest = divmod(abs(microseconds), 1_000_000)
    decimals = f".{rest:06d}".removesuffix("000") if rest else ""
    return f"{sign}{whole}{decimals}s"
