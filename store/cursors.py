"""Cursors of lists in the order of a time and an id."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from contracts import InvalidInput
from store.protocol import Cursor

_TIME_AND_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z.+", re.ASCII)
_TIME_CHARS = 24
_MOST_DIGITS = 18


class Span(NamedTuple):
    """Which part of a list is wanted."""

    limit: int
    after: Cursor | None = None
    order: Literal["asc", "desc"] = "desc"


def sort_key(cursor: Cursor) -> tuple[str, str]:
    """The time and id a cursor stands for. Raises InvalidInput ``invalid_cursor``."""
    if not _TIME_AND_ID.fullmatch(cursor):
        raise InvalidInput(code="invalid_cursor")

    return cursor[:_TIME_CHARS], cursor[_TIME_CHARS:]


def version_before(after: Cursor | None) -> int:
    """The version a list goes on before. Raises InvalidInput ``invalid_cursor``."""
    if after is None:
        return 2**62

    if not after.isdecimal() or len(after) > _MOST_DIGITS:
        raise InvalidInput(code="invalid_cursor")

    return int(after)
