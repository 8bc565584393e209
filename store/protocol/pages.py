"""Pages of lists: a cursor is the sort key of the last row seen."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

Cursor = str
"""The sort key after which the next page begins; opaque to callers of the API."""


class Page(NamedTuple, Generic[T]):
    """Some rows in order, and where the next page begins (None: nowhere)."""

    items: tuple[T, ...]
    next: Cursor | None = None
