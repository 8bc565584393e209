"""What a subscription holds, and the acknowledgements of what it is done with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from bus.redis_streams.keys import Seat
from bus.redis_streams.link import Reply
from bus.redis_streams.office import Office
from contracts import BusUnavailable

_AGAIN_S = 0.2


class Acks:
    """Entries that are here; those of one tick are acknowledged in one command.

    An entry is held until Redis has taken its acknowledgement, and one that was
    taken while a read was under way is known to the end of it, so that one that
    comes back in between is not handled again.
    """

    def __init__(self, office: Office, seat: Seat) -> None:
        self._office = office
        self._seat = seat
        self._due: list[bytes] = []
        self._sent: Reply | None = None
        self._loop = asyncio.get_running_loop()
        self.held: set[bytes] = set()
        self._taken: set[bytes] | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it entries are read that Redis has as ours already."""
        self._taken = set()
        try:
            yield
        finally:
            self._taken = None

    def knows(self, entry: bytes) -> bool:
        """Whether an entry is here, or was when the read began."""
        return entry in self.held or entry in (self._taken or ())

    def done(self, entry: bytes, *, failed_before: bool) -> None:
        """Acknowledge an entry at the end of this tick."""
        if failed_before:
            self._office.link.tell(b"HDEL", self._seat.failures, entry)

        if not self._due:
            self._loop.call_soon(self._send)

        self._due.append(entry)

    async def flush(self) -> None:
        """Return when all has been sent and answered, one way or the other."""
        self._send()
        while self._sent is not None and not self._sent.done():
            with suppress(BusUnavailable):
                await self._sent

    def _send(self) -> None:
        due, self._due = self._due, []
        if due:
            seat = self._seat
            self._sent = self._office.link.call(b"XACK", seat.stream, seat.group, *due)
            self._sent.add_done_callback(partial(self._answered, due))

    def _answered(self, entries: list[bytes], reply: Reply) -> None:
        error = None if reply.cancelled() else reply.exception()
        if isinstance(error, BusUnavailable) and error.code != "draining":
            self._loop.call_later(_AGAIN_S, self._again, entries)
        else:
            self.held.difference_update(entries)
            if self._taken is not None:
                self._taken.update(entries)

    def _again(self, entries: list[bytes]) -> None:
        self._due += entries
        self._send()
