"""What every stream of events keeps: how many a key has, and that it is still good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from contracts import LIMITS, PermanentError, TemporaryError
from gateways.http.auth import is_good
from gateways.http.call import Call

HEARTBEAT_S = 15.0
STALLED_S = 30.0
"""A reader that takes nothing for so long is cut off."""


@contextmanager
def one_more(call: Call) -> Iterator[None]:
    """A stream more of this key, while it lasts.

    Raises TemporaryError ``draining``, PermanentError ``too_many_streams``.
    """
    open_, key, most = (
        call.door.streams,
        call.principal.id,
        LIMITS["sse_streams_per_key"],
    )
    if call.door.closing.is_set():
        raise TemporaryError(code="draining")

    if open_[key] >= most:
        raise PermanentError(
            f"A key has at most {most} open streams.",
            code="too_many_streams",
            details={"limit": most},
        )

    open_[key] += 1
    try:
        yield
    finally:
        open_[key] -= 1
        if not open_[key]:
            del open_[key]


class KeyWatch:
    """Looks now and then whether the key of a stream has ended."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._checked_at = call.door.clock.monotonic()

    async def check(self) -> None:
        """Raise PermanentError ``invalid_credentials`` soon after the key has ended."""
        door = self._call.door
        now = door.clock.monotonic()
        if now - self._checked_at < HEARTBEAT_S:
            return

        self._checked_at = now
        if not await is_good(door.store.keys, self._call.principal.id, door.at()):
            raise PermanentError(code="invalid_credentials")
