"""Group commit: what waits at the same time travels to the server together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from contracts import PermanentError, StoreUnavailable
from store.mongo.words import unavailable

W = TypeVar("W")
R = TypeVar("R")

MOST_AT_ONCE = 512
"""Writes or reads of one group."""

MOST_WAITING = 10_000
"""How much may wait; one more is refused with ``store_busy``."""


class Grouped(Generic[W, R]):
    """Writes, or reads, of one kind, given to ``send`` a group at a time.

    What is said in one tick of the loop makes a group; while one is on its way the
    next gathers, so a read never gets an answer that is older than itself. ``send``
    returns one result for each, in their order; an exception among them, or raised,
    is what its callers get. A caller that is cancelled takes nothing back.
    """

    def __init__(
        self, name: str, send: Callable[[list[W]], Awaitable[Sequence[R | Exception]]]
    ) -> None:
        self._name = name
        self._send = send
        self._waiting: list[_Waiting[W, R]] = []
        self._sender: asyncio.Task[None] | None = None

    def say(self, what: W) -> asyncio.Future[R]:
        """The result of this write or read. Raises StoreUnavailable ``store_busy``."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable(code="store_busy")

        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(what, future))
        if self._sender is None:
            self._sender = loop.create_task(self._send_all(), name=self._name)

        return future

    async def finish(self) -> None:
        """Return when nothing waits and nothing is on its way."""
        while self._sender is not None:
            await asyncio.wait([self._sender])

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                group = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._send_group(group)
        finally:
            self._sender = None

    async def _send_group(self, group: list[_Waiting[W, R]]) -> None:
        try:
            results = await self._send([each.what for each in group])
        except PermanentError as error:  # one spoils the group: each on its own
            if len(group) > 1:
                for each in group:
                    await self._send_group([each])

                return

            results = [error]
        except Exception as error:  # noqa: BLE001  whoever waits is told
            results = [_own(error) for _ in group]
        except BaseException:  # the loop ends: nobody is left to tell
            for each in group:
                each.future.cancel()

            raise

        for each, result in zip(group, results, strict=True):
            each.settle(result)


class _Waiting(NamedTuple, Generic[W, R]):
    """A write or read, and who waits for it."""

    what: W
    future: asyncio.Future[R]

    def settle(self, result: R | Exception) -> None:
        """Give whoever still waits the result or the error."""
        if self.future.done():
            return

        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


def _own(error: Exception) -> Exception:
    """An error that one writer of many can raise by himself."""
    return unavailable(error) if isinstance(error, StoreUnavailable) else error
