"""Errors of the driver in our words, and calls that a cancellation does not cut."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from contracts import PermanentError, StoreUnavailable

T = TypeVar("T")

_READING = set[asyncio.Task[Any]]()
"""The loop itself would forget them."""

_TOO_LARGE = 10_334
"""What the server says of a document beyond 16 MB."""


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raises StoreUnavailable ``mongo_unavailable`` for what the driver raises.

    Whatever the driver says, the outcome of a write is unknown: a timeout, a lost
    connection, a majority that did not confirm, a primary that stepped down. What
    cannot be encoded at all, or is too large, is PermanentError ``internal``.
    """
    try:
        yield
    except (BSONError, DocumentTooLarge, OverflowError) as error:
        raise PermanentError(code="internal") from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code == _TOO_LARGE:
            raise PermanentError(code="internal") from error

        raise unavailable(error) from error


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a caller is told of an error of the driver."""
    message = f"MongoDB does not answer: {type(error).__name__}."
    told = StoreUnavailable(message, code="mongo_unavailable")
    told.__cause__ = error
    return told


async def whole(write: Coroutine[Any, Any, T]) -> T:
    """Await a write to its end, also if whoever asked is cancelled meanwhile.

    The driver would close the connection and the server execute the write all the
    same, at a moment nobody knows. The client's deadline bounds the wait.
    """
    return await landed(asyncio.create_task(write, name="a write to its end"))


async def landed(write: asyncio.Future[T]) -> T:
    """Await a write that somebody else sends, to its end as ``whole`` does."""
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        with _uncut():
            await asyncio.wait([write])

        if not write.cancelled():
            write.exception()  # nobody else will ask for it

        raise


async def aside(reading: Coroutine[Any, Any, T]) -> T:
    """Await a read that goes on by itself if whoever asked is cancelled meanwhile.

    Cut within the driver it may leave a lock of the driver's in disorder, and raise
    what that leads to instead of the cancellation.
    """
    task = asyncio.create_task(reading, name="a read to its end")
    _READING.add(task)
    task.add_done_callback(_is_over)
    return await asyncio.shield(task)


def _is_over(task: asyncio.Task[Any]) -> None:
    _READING.discard(task)
    if not task.cancelled():
        task.exception()  # perhaps nobody else asks for it


async def all_landed(writes: Sequence[asyncio.Future[T]]) -> None:
    """Await writes to their ends. Raises the first error among them."""
    if writes:
        with _uncut():
            await asyncio.wait(writes)

    errors = [write.exception() for write in writes]
    for error in filter(None, errors):
        raise error


@contextmanager
def _uncut() -> Iterator[None]:
    with anyio.CancelScope(shield=True):
        yield
