"""Values kept in memory, a bounded number of them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SMALL_CHARS = 16_384
"""A longer text is read again each time, so that what is kept stays bounded."""


class Recent(Generic[K, V]):
    """At most ``size`` values; the one unused for longest makes room."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, if it is still there."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value

        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value that is committed."""
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._size:
            del self._values[next(iter(self._values))]

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._values.pop(key, None)
