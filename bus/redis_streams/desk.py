"""One try of one message: read it, hand it to the handler, decide what follows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import NamedTuple

from bus.codec import TooNew, Unreadable, Unsigned
from bus.fates import Dead, fate
from bus.protocol import DeadLetter, Handler
from bus.redis_streams.acks import Acks
from bus.redis_streams.keys import Seat
from bus.redis_streams.letters import FIELD, Letters
from bus.redis_streams.office import Office
from contracts import BusUnavailable, Envelope, stamp

_PAGE = 100
_MOST_DELIVERIES = 10
"""A message that was handed out more often kills whoever takes it."""

_MOST_DELIVERIES_OF_A_FAILED = 5


class Taken(NamedTuple):
    """An entry that is here, and the number of the try that comes next.

    0 stands for one that was handed out before: Redis knows how often.
    """

    entry: bytes
    frame: bytes
    tries: int


class _Death(Exception):
    """Why a message is not handled, and after how many tries."""

    def __init__(self, reason: str, tries: int, envelope: Envelope | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.tries = tries
        self.envelope = envelope


class Desk:
    """Handles the messages of one subscription."""

    def __init__(
        self,
        office: Office,
        seat: Seat,
        handler: Handler,
        acks: Acks,
        later: Callable[[Taken, float], None],
    ) -> None:
        """``later`` hands a message back after so many seconds."""
        self._office = office
        self._seat = seat
        self._handler = handler
        self._acks = acks
        self._later = later
        self._letters = Letters(office)
        self._log = office.log

    async def handle(self, taken: Taken) -> None:
        """Try a message; it is done, waits, is parked, dead, or stays pending."""
        try:
            await self._try(taken)
        except _Death as death:
            await self._bury(taken, death)
        except TooNew as error:
            await self._park(taken, error)

    async def unpark(self) -> None:
        """Give back to the stream what an older process put aside and this one reads.

        Every group gets it again, and one that had it does it again, which is harmless.
        Raises BusUnavailable.
        """
        link, parked = self._office.link, self._office.keys.parked(self._seat.kind)
        last = b"-"
        while page := await link.call(b"XRANGE", parked, last, b"+", b"COUNT", _PAGE):
            last = b"(" + page[-1][0]
            for entry, (_, frame) in page:
                if self._reads(frame):
                    await link.atomically(
                        (b"XADD", self._seat.stream, b"*", FIELD, frame),
                        (b"XDEL", parked, entry),
                    )

    def _reads(self, frame: bytes) -> bool:
        try:
            self._office.codec.decode(frame)
        except (TooNew, Unsigned, Unreadable):
            return False

        return True

    async def _try(self, taken: Taken) -> None:
        envelope = self._opened(taken)
        tries = taken.tries or await self._tries_of(taken, envelope)
        if not tries:
            return

        self._log.delivered(envelope, self._seat.group, tries)
        try:
            await self._handler(envelope)
        except Exception as error:  # noqa: BLE001  every error has a fate
            self._failed(taken._replace(tries=tries), envelope, error)
        else:
            self._acks.done(taken.entry, failed_before=taken.tries != 1)

    def _opened(self, taken: Taken) -> Envelope:
        """The message of an entry. Raises _Death, TooNew."""
        try:
            envelope = self._office.codec.decode(taken.frame)
        except Unsigned as error:
            seat = self._seat
            self._log.alarm("unsigned", kind=seat.kind, group=seat.group)
            raise _Death(str(error), 1, None) from error
        except Unreadable as error:
            raise _Death(str(error), 1, None) from error

        if envelope.kind != self._seat.kind:
            raise _Death(f"it is a {envelope.kind}, and lay elsewhere", 1, envelope)

        return envelope

    async def _tries_of(self, taken: Taken, envelope: Envelope) -> int:
        """Which try comes next of a message that was handed out before.

        0 if Redis does not answer: it comes back once more. Raises _Death.
        """
        link, seat, entry = self._office.link, self._seat, taken.entry
        try:
            pending, failures = await asyncio.gather(
                link.call(b"XPENDING", seat.stream, seat.group, entry, entry, 1),
                link.call(b"HGET", seat.failures, entry),
            )
        except BusUnavailable:
            self._acks.held.discard(entry)
            return 0

        deliveries, failed = (pending[0][3] if pending else 1), int(failures or 0)
        if deliveries > (_MOST_DELIVERIES_OF_A_FAILED if failed else _MOST_DELIVERIES):
            raise _Death(f"handed out {deliveries} times", failed, envelope)

        return failed + 1

    def _failed(self, taken: Taken, envelope: Envelope, error: Exception) -> None:
        verdict = fate(error, taken.tries)
        if isinstance(verdict, Dead):
            raise _Death(verdict.reason, taken.tries, envelope) from error

        self._log.retried(
            envelope,
            self._seat.group,
            taken.tries,
            delay_s=verdict.delay_s,
            error=str(error),
        )
        failures = self._seat.failures
        self._office.link.tell(b"HSET", failures, taken.entry, taken.tries)
        self._later(taken._replace(tries=taken.tries + 1), verdict.delay_s)

    async def _bury(self, taken: Taken, death: _Death) -> None:
        letter = self._letter(taken, death)
        self._log.dead(
            letter.id,
            death.envelope,
            kind=letter.kind,
            group=letter.group,
            reason=letter.reason,
            tries=letter.count,
        )
        try:
            await self._letters.bury(letter, self._seat, taken.entry)
        except BusUnavailable as error:
            # it stays pending, and dies again when it is claimed
            self._log.alarm("not_buried", message_id=letter.id, reason=error.code)

        self._acks.held.discard(taken.entry)

    async def _park(self, taken: Taken, error: TooNew) -> None:
        seat = self._seat
        self._log.alarm("parked", kind=seat.kind, group=seat.group, reason=str(error))
        try:
            await self._office.link.atomically(
                (
                    b"XADD",
                    self._office.keys.parked(seat.kind),
                    b"*",
                    FIELD,
                    taken.frame,
                ),
                (b"XACK", seat.stream, seat.group, taken.entry),
            )
        except BusUnavailable as refused:
            self._log.alarm("not_parked", kind=seat.kind, reason=refused.code)

        self._acks.held.discard(taken.entry)

    def _letter(self, taken: Taken, death: _Death) -> DeadLetter:
        """Only a message that can be trusted is known by the id it says it has."""
        digest = hashlib.sha256(taken.frame).hexdigest()
        return DeadLetter(
            id=death.envelope.id if death.envelope else f"unreadable-{digest[:32]}",
            kind=self._seat.kind,
            group=self._seat.group,
            reason=death.reason,
            count=death.tries,
            original=taken.frame,
            at=stamp(self._office.clock.now()),
        )
