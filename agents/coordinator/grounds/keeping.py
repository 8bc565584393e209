"""Values kept for the next asker, so many and no more."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """At most ``size`` values by key; the one unused for longest makes room.

    Only for values that follow from their key, so that none is ever stale.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, if it is still there."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value

        return value

    def made(self, key: K, make: Callable[[], V]) -> V:
        """The value of this key, made if it is not there. Raises what ``make`` does."""
        value = self.get(key)
        if value is None:
            value = self._values[key] = make()
            if len(self._values) > self._size:
                del self._values[next(iter(self._values))]

        return value
