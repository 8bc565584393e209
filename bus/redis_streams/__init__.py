"""The bus that several processes share: Redis Streams, and pub/sub for hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import get_args

from bus.codec import Codec
from bus.log_lines import LogLines
from bus.protocol import DeadLetter, GroupState, Handler
from bus.redis_streams.address import Address
from bus.redis_streams.backlog import Backlog
from bus.redis_streams.feed import Feed
from bus.redis_streams.hotline import Hotline
from bus.redis_streams.keys import Keys, Seat, own_name
from bus.redis_streams.letters import FIELD, Letters
from bus.redis_streams.link import Link
from bus.redis_streams.office import Office
from bus.redis_streams.positions import Position, consumers, positions, waiting
from bus.redis_streams.pulse import Pulse
from bus.redis_streams.refusals import Unanswered
from bus.redis_streams.tuning import Tuning
from contracts import (
    BusUnavailable,
    Clock,
    Envelope,
    MaybePublished,
    PermanentError,
)
from contracts.envelope import Kind

__all__ = ["RedisStreamsBus", "Tuning"]

_MOST_HINTS = 10_000
"""Broadcasts are dropped while so much waits for Redis to answer."""


class RedisStreamsBus:
    """Bus of several processes; see the Bus protocol for what it promises.

    It opens without Redis, refuses with ``redis_unavailable`` while Redis is away,
    and heals by itself.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        key: bytes,
        namespace: str,
        tuning: Tuning | None = None,
    ) -> None:
        """Raises ConfigurationError for a URL that names no Redis, or a short key."""
        tuning = tuning or Tuning()
        address, codec, keys = Address(url), Codec(key), Keys(namespace)
        self.address = own_name()
        link = Link(address, self.address, deadline_s=tuning.deadline_s)
        self._office = Office(
            address, keys, codec, clock, tuning, link, LogLines(), self._lost
        )
        self._link = link
        self._keys = keys
        self._log = self._office.log
        self._backlog = Backlog(self._office)
        self._letters = Letters(self._office)
        self._hotline = Hotline(self._office, self.address)
        self._pulse = Pulse(self._office, self.address)
        self._feeds: list[Feed] = []
        self._closed = False

    async def publish(self, envelope: Envelope) -> None:
        """See Bus."""
        self._refuse_closed()
        frame = self._office.codec.encode(envelope)
        if not self._backlog.admit(envelope.kind):
            await self._backlog.admit_measured(envelope.kind)

        self._log.published(envelope)
        stream = self._keys.work(envelope.kind)
        try:
            await self._link.call(b"XADD", stream, b"*", FIELD, frame)
        except Unanswered as error:
            raise MaybePublished(
                error.message, code=error.code, delay=error.delay
            ) from error

    def subscribe(
        self, kind: Kind, group: str, handler: Handler, *, slots: int = 8
    ) -> Feed:
        """See Bus."""
        keys = self._keys
        seat = Seat(
            kind, group, keys.work(kind), keys.failures(kind, group), own_name()
        )
        feed = Feed(self._office, seat, handler, slots=slots)
        self._feeds.append(feed)
        return feed

    async def ask(
        self,
        envelope: Envelope,
        *,
        timeout_s: float,
        until: Callable[[Envelope], bool] | None = None,
    ) -> tuple[Envelope, ...]:
        """See Bus."""
        if envelope.reply_to != self.address:
            envelope = envelope.model_copy(update={"reply_to": self.address})

        await self._hotline.ready()
        replies = self._hotline.replies
        waiter = replies.open(envelope.id, timeout_s, until)
        try:
            await self.publish(envelope)
            return await waiter.replies()
        finally:
            replies.close(envelope.id)

    async def reply(self, address: str, envelope: Envelope) -> None:
        """See Bus. Raises BusUnavailable."""
        heard = address == self.address and self._hotline.replies.deliver(envelope)
        if not heard:
            channel = self._keys.reply(address)
            frame = self._office.codec.encode(envelope)
            heard = bool(await self._link.call(b"PUBLISH", channel, frame))

        self._log.replied(envelope, heard=heard)

    def broadcast(self, topic: str, make: Callable[[], Envelope]) -> None:
        """See Bus. ``make`` is always called: others may listen elsewhere."""
        if self._closed or self._link.load > _MOST_HINTS:
            return

        try:
            frame = self._office.codec.encode(make())
        except PermanentError as error:
            self._log.dropped(topic, error)
        else:
            self._link.tell(b"PUBLISH", self._keys.topic(topic), frame)

    def listen(
        self, topic: str, *, buffer: int = 1_000
    ) -> AbstractAsyncContextManager[AsyncIterator[Envelope]]:
        """See Bus. Raises BusUnavailable on entering."""
        return self._hotline.listen(topic, buffer)

    def on_loss(self, ring: Callable[[], Awaitable[None]]) -> None:
        """See Bus."""
        self._pulse.on_loss(ring)

    async def ping(self) -> None:
        """See Bus."""
        self._refuse_closed()
        # a write: a copy that only reads, or a full disk, answers to PING
        await self._link.call(b"SET", self._keys.ping, 1, b"PX", 1_000)

    async def groups(self) -> dict[str, GroupState]:
        """See Bus. Later tries count as pending here: they were handed out."""
        states: dict[str, GroupState] = {}
        for kind in get_args(Kind):
            stream = self._keys.work(kind)
            for one in await positions(self._link, stream):
                states[f"{kind}/{one.group}"] = await self._state(stream, one)

        return states

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """See Bus."""
        return await self._letters.latest(limit)

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        """See Bus."""
        return await self._letters.get(letter_id)

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """See Bus."""
        letter = await self._letters.get(letter_id)
        if letter is None:
            return False

        self._log.published_again(letter.id, letter.kind)
        return await self._letters.retry(letter)

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """See Bus."""
        return await self._letters.drop(letter_id)

    async def close(self) -> None:
        """See Bus."""
        self._closed = True
        feeds, self._feeds = self._feeds, []
        await asyncio.gather(*(feed.close() for feed in feeds))
        await self._pulse.close()
        await self._backlog.close()
        await self._hotline.close()
        with suppress(BusUnavailable):
            # what was said last has gone out when this is answered
            await self._link.call(b"PING")

        await self._link.close()

    async def _state(self, stream: bytes, position: Position) -> GroupState:
        drawing = await consumers(self._link, self._keys, stream, position.group)
        return GroupState(
            waiting=await waiting(self._link, stream, position),
            pending=position.pending,
            consumers=sum(one.alive for one in drawing),
        )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BusUnavailable("The bus is closed.", code="draining")

    def _lost(self) -> None:
        self._pulse.gone()
