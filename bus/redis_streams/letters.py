"""The dead letters: a hash by id, and the order in which they came."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from bus.protocol import DeadLetter
from bus.redis_streams.keys import Seat
from bus.redis_streams.office import Office
from contracts import moment
from contracts.failpoints import reach

FIELD = b"m"
"""The one field of an entry; its value is the frame."""


class _Kept(DeadLetter):
    """A dead letter as it is kept: JSON, whatever the original bytes are."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Letters:
    """Keeps each letter once by its id until somebody drops or retries it."""

    def __init__(self, office: Office) -> None:
        self._link = office.link
        self._keys = office.keys

    async def bury(self, letter: DeadLetter, seat: Seat, entry: bytes) -> None:
        """Keep the letter and acknowledge its entry, both or neither.

        Raises BusUnavailable; then the entry stays pending.
        """
        kept = _Kept(**dict(letter)).model_dump_json()
        score = int(moment(letter.at).timestamp() * 1_000)
        order, letters = self._keys.letter_order, self._keys.letters
        reach("B17")
        await self._link.atomically(
            (b"HSETNX", letters, letter.id, kept),
            (b"ZADD", order, b"NX", score, letter.id),
            (b"XACK", seat.stream, seat.group, entry),
            (b"HDEL", seat.failures, entry),
        )

    async def latest(self, limit: int) -> tuple[DeadLetter, ...]:
        """The newest letters, newest first. Raises BusUnavailable."""
        ids = await self._link.call(
            b"ZREVRANGE", self._keys.letter_order, 0, max(limit, 1) - 1
        )
        if not ids:
            return ()

        kept = await self._link.call(b"HMGET", self._keys.letters, *ids)
        return tuple(_letter(text) for text in kept if text is not None)

    async def get(self, letter_id: str) -> DeadLetter | None:
        """The letter of this id. Raises BusUnavailable."""
        text = await self._link.call(b"HGET", self._keys.letters, letter_id)
        return None if text is None else _letter(text)

    async def retry(self, letter: DeadLetter) -> bool:
        """Add the original bytes once more and forget the letter, both or neither.

        False if somebody else did so meanwhile; it was added all the same. Raises
        BusUnavailable.
        """
        stream = self._keys.work(letter.kind)
        _, dropped, _ = await self._link.atomically(
            (b"XADD", stream, b"*", FIELD, letter.original), *self._drop(letter.id)
        )
        return bool(dropped)

    async def drop(self, letter_id: str) -> bool:
        """Forget a letter; False if it is not there. Raises BusUnavailable."""
        dropped, _ = await self._link.atomically(*self._drop(letter_id))
        return bool(dropped)

    def _drop(self, letter_id: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return (
            (b"HDEL", self._keys.letters, letter_id),
            (b"ZREM", self._keys.letter_order, letter_id),
        )


def _letter(text: bytes) -> DeadLetter:
    return _Kept.model_validate_json(text)
