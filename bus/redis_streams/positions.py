"""How far the groups of a stream are, on every server from Redis 6.2 on."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from bus.redis_streams.keys import Keys
from bus.redis_streams.link import Link
from bus.redis_streams.refusals import KeyMissing

_PAGE = 1_000
_MOST_COUNTED = 20_000


class Position(NamedTuple):
    """A group: what it was given last, and how much it has and has not taken."""

    group: str
    pending: int
    last: bytes
    """The id of the entry that was delivered last."""

    lag: int | None
    """Entries that were not delivered; None if Redis does not know."""

    tells_lag: bool
    """Whether this server counts the lag at all: 7.0 and later do."""


async def positions(link: Link, stream: bytes) -> tuple[Position, ...]:
    """The groups of a stream; none if there is no stream. Raises BusUnavailable."""
    try:
        rows = await link.call(b"XINFO", b"GROUPS", stream)
    except KeyMissing:
        return ()

    return tuple(_position(row) for row in rows)


async def waiting(link: Link, stream: bytes, position: Position) -> int:
    """Entries not yet delivered to the group, counted if Redis does not know.

    Beyond 20,000 it stops counting. Raises BusUnavailable.
    """
    if position.lag is not None:
        return position.lag

    if position.last == b"0-0":
        return int(await link.call(b"XLEN", stream))

    counted, last = 0, position.last
    while counted < _MOST_COUNTED:
        page = await link.call(b"XRANGE", stream, b"(" + last, b"+", b"COUNT", _PAGE)
        counted += len(page)
        if len(page) < _PAGE:
            break

        last = page[-1][0]

    return counted


class Consumer(NamedTuple):
    """One that draws from a group, and whether it still lives."""

    name: str
    pending: int
    idle_ms: int
    alive: bool


async def consumers(
    link: Link, keys: Keys, stream: bytes, group: str
) -> tuple[Consumer, ...]:
    """The consumers of a group. Raises BusUnavailable.

    Redis' idle time alone says nothing: before 7.2 one that waits is idle too.
    """
    rows = await link.call(b"XINFO", b"CONSUMERS", stream, group)
    said = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
    names = [one[b"name"].decode() for one in said]
    alive = [link.call(b"EXISTS", keys.alive(name)) for name in names]
    return tuple(
        Consumer(name, one[b"pending"], one[b"idle"], bool(lives))
        for name, one, lives in zip(
            names, said, await asyncio.gather(*alive), strict=True
        )
    )


def _position(row: list[Any]) -> Position:
    said = dict(zip(row[::2], row[1::2], strict=True))
    return Position(
        group=said[b"name"].decode(),
        pending=said[b"pending"],
        last=said[b"last-delivered-id"],
        lag=said.get(b"lag"),
        tells_lag=b"lag" in said,
    )
