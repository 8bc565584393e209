"""What came in as JSON, made fit to be kept: nothing of it is refused; pure."""

from __future__ import annotations

from math import isfinite
from typing import Any

from contracts import LIMITS

_DEEPEST = 32
_LARGEST = LIMITS["largest_integer"]


def tame(value: Any, depth: int = 0) -> Any:
    """A value that every store can keep.

    Halves of surrogate pairs become U+FFFD; numbers that cannot be kept exactly, and
    what is nested deeper than 32 levels, null.
    """
    match value:
        case str():
            return _whole(value)
        case int() | float() if not _is_exact(value):
            return None
        case dict() | list() if depth == _DEEPEST:
            return None
        case dict():
            return {_whole(key): tame(one, depth + 1) for key, one in value.items()}
        case list():
            return [tame(one, depth + 1) for one in value]

    return value


def _is_exact(number: float) -> bool:
    return (
        -_LARGEST <= number <= _LARGEST if isinstance(number, int) else isfinite(number)
    )


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
