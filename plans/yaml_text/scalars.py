"""Plain scalars: what the core schema of YAML 1.2 takes an unquoted word for."""

from __future__ import annotations

import math
import re

from contracts import LIMITS

_LARGEST = LIMITS["largest_integer"]
_LONGEST = 400
_CONSTANTS = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class NotANumber(ValueError):
    """It says infinity, or that it is no number."""


class OutOfRange(ValueError):
    """It says a number that JSON readers do not keep."""


def plain_scalar(text: str) -> str | bool | int | float | None:
    """What the word means; whatever the schema does not know is text.

    Raises NotANumber or OutOfRange.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]

    if _NOT_FINITE.fullmatch(text):
        raise NotANumber(text)

    if _WHOLE.fullmatch(text):
        return _whole(text, 10)

    if _BASED.fullmatch(text):
        return _whole(text[2:], 8 if text[1] == "o" else 16)

    return _real(text) if _REAL.fullmatch(text) else text


def _whole(digits: str, base: int) -> int:
    if len(digits) > _LONGEST or abs(number := int(digits, base)) > _LARGEST:
        raise OutOfRange(digits[:_LONGEST])

    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise OutOfRange(text[:_LONGEST])

    return number
