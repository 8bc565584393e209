"""The janitor: cuts from each stream what every group is done with, and nothing else.

One process at a time does it, whoever comes first each time.
"""

from __future__ import annotations

import asyncio
from typing import get_args

from bus.redis_streams.keys import own_name
from bus.redis_streams.office import Office
from bus.redis_streams.positions import Position, consumers, positions
from contracts import BusUnavailable
from contracts.envelope import Kind

_KINDS: tuple[str, ...] = get_args(Kind)


class Janitor:
    """Trims streams and forgets consumers that are gone."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._link = office.link
        self._token = own_name()
        self._unknown: set[bytes] = set()

    async def work(self) -> None:
        """One round, unless somebody just made one. Raises BusUnavailable."""
        if await self._is_first():
            streams = [self._office.keys.work(kind) for kind in _KINDS]
            await asyncio.gather(*map(self._clean, streams))

    async def _is_first(self) -> bool:
        turn_ms = round(self._office.tuning.pulse_s * 900)
        take = (b"SET", self._office.keys.janitor, self._token, b"NX", b"PX", turn_ms)
        try:
            return await self._link.call(*take) is not None
        except BusUnavailable as error:
            # a full Redis takes no token, and room is what it needs; two who trim
            # at once do what one of them does
            if error.code == "bus_backlog":
                return True

            raise

    async def _clean(self, stream: bytes) -> None:
        groups = await positions(self._link, stream)
        if not groups:
            return

        self._alarm_unknown(stream, groups)
        floors = await asyncio.gather(*(self._floor(stream, one) for one in groups))
        lowest = min(floors, key=_in_order)
        if lowest != b"0-0":
            await self._link.call(b"XTRIM", stream, b"MINID", b"=", lowest)

        await asyncio.gather(*(self._forget_idle(stream, one.group) for one in groups))

    async def _floor(self, stream: bytes, position: Position) -> bytes:
        """The lowest entry that the group still needs.

        Asked after ``position``: a group only moves on, so this can only be too low.
        """
        if position.last == b"0-0":
            return position.last

        _, oldest, _, _ = await self._link.call(b"XPENDING", stream, position.group)
        return _next(position.last) if oldest is None else oldest

    async def _forget_idle(self, stream: bytes, group: str) -> None:
        """Remove consumers that are gone.

        Never one with something pending, and never one that may be handed something
        this very moment: Redis forgets with a consumer what it holds.
        """
        keys, idle_s = self._office.keys, self._office.tuning.consumer_idle_s
        for one in await consumers(self._link, keys, stream, group):
            if not one.alive and not one.pending and one.idle_ms > idle_s * 1_000:
                gone = (stream, group, one.name)
                await self._link.call(b"XGROUP", b"DELCONSUMER", *gone)

    def _alarm_unknown(self, stream: bytes, groups: tuple[Position, ...]) -> None:
        """A server that counts lags and lost count says that entries were deleted."""
        unknown = any(one.tells_lag and one.lag is None for one in groups)
        if unknown and stream not in self._unknown:
            self._unknown.add(stream)
            self._office.log.alarm("lag_unknown", stream=stream.decode())
        elif not unknown:
            self._unknown.discard(stream)


def _next(entry: bytes) -> bytes:
    milliseconds, number = _in_order(entry)
    return b"%d-%d" % (milliseconds, number + 1)


def _in_order(entry: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)
