"""What becomes of the driver's errors: none of them leaves this package."""

from __future__ import annotations

from redis.exceptions import OutOfMemoryError, RedisError

from contracts import BusUnavailable

_RETRY_AFTER_S = 1.0


class Unanswered(BusUnavailable):
    """The command was sent; whether it ran is not known."""

    code = "redis_unavailable"


class GroupMissing(BusUnavailable):
    """The group is not there: Redis lost it, or never had it."""

    code = "redis_unavailable"


class GroupThere(BusUnavailable):
    """The group was there before."""

    code = "redis_unavailable"


class KeyMissing(BusUnavailable):
    """There is no such key."""

    code = "redis_unavailable"


_BY_BEGINNING: tuple[tuple[str, type[BusUnavailable]], ...] = (
    ("NOGROUP", GroupMissing),
    ("UNBLOCKED", GroupMissing),
    ("BUSYGROUP", GroupThere),
    ("no such key", KeyMissing),
    ("ERR no such key", KeyMissing),
)
"""Replies that say something about the data; the first fitting row counts."""


def unanswered(error: BaseException) -> Unanswered:
    """The error for whoever was not answered when this error broke the connection."""
    told = refusal(error)
    return Unanswered(told.message, code=told.code, delay=told.delay)


def refusal(error: BaseException) -> BusUnavailable:
    """The error of ours for an error of the driver or of the connection.

    Full memory is ``bus_backlog``: consumers can still drain. All else is
    ``redis_unavailable``: READONLY, MISCONF, LOADING, MASTERDOWN, no permission,
    no connection, no answer in time.
    """
    if isinstance(error, BusUnavailable):
        return error

    text = str(error)
    if isinstance(error, OutOfMemoryError):
        return BusUnavailable("Redis is full.", delay=_RETRY_AFTER_S)

    for beginning, kind in _BY_BEGINNING:
        if text.startswith(beginning):
            return kind(text)

    said = f"Redis: {text}" if isinstance(error, RedisError) and text else ""
    return BusUnavailable(said, code="redis_unavailable", delay=_RETRY_AFTER_S)
