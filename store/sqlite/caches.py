"""Rows kept in memory; right because one process owns the file and all its writes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from contracts import SluicegateError, StoreUnavailable
from store.caches import Recent

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_NEVER = -1


class Coherent(Generic[K, V]):
    """Values read from rows that change, never older than the last finished write.

    Writes land in the order they began. A value read while a write is under way is
    not kept. A write whose end nobody saw stays under way until a later one lands.
    """

    def __init__(self, size: int) -> None:
        self._recent: Recent[K, V] = Recent(size)
        self._begun = 0
        self._landed = 0

    def get(self, key: K) -> V | None:
        """The value, if it is known without asking."""
        return self._recent.get(key)

    def reading(self) -> int:
        """To be asked before a value is read, and given to ``keep`` after it."""
        return self._begun if self._begun == self._landed else _NEVER

    def keep(self, key: K, value: V, since: int) -> None:
        """Keep a value that was read, if it cannot have changed meanwhile."""
        if since == self._begun:
            self._recent.put(key, value)

    @contextmanager
    def writing(self, *keys: K) -> Iterator[None]:
        """Around a write of these rows: they are forgotten when it ends."""
        self._begun += 1
        ticket = self._begun
        try:
            yield
        except StoreUnavailable:
            raise
        except SluicegateError:
            self._land(ticket)
            raise
        else:
            self._land(ticket)
        finally:
            for key in keys:
                self._recent.drop(key)

    def _land(self, ticket: int) -> None:
        self._landed = max(self._landed, ticket)
