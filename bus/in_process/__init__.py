"""The bus inside one event loop: queues, callbacks, and nothing that lasts.

After a crash the store rings again for everything that was under way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from pydantic import TypeAdapter

from bus.in_process.group import Burial, Group, Queued, Slots
from bus.log_lines import LogLines
from bus.protocol import DeadLetter, GroupState, Handler
from bus.topics import Listener, Topics
from bus.waiting import ReplyChannel
from contracts import (
    LIMITS,
    AnyEnvelope,
    BusUnavailable,
    Clock,
    Envelope,
    PermanentError,
    stamp,
)
from contracts.envelope import Kind

_ENVELOPES: TypeAdapter[Envelope] = TypeAdapter(AnyEnvelope)
_MOST_DEAD_LETTERS = 10_000
_FREE_FORM = frozenset({"decision", "verdict", "outcome", "deliver"})
"""Kinds whose size a sender decides; the others are always small."""


class InProcessBus:
    """Bus for one process; see the Bus protocol for what it promises."""

    address = "in-process"

    def __init__(self, clock: Clock, *, capacity: int = 10_000) -> None:
        """``capacity`` is the number of messages a group may lag behind."""
        self._clock = clock
        self._capacity = capacity
        self._groups: dict[str, dict[str, Group]] = {}
        self._unclaimed: dict[str, Group] = {}
        self._subscriptions: list[Slots] = []
        self._replies = ReplyChannel()
        self._topics = Topics()
        self._dead: OrderedDict[str, DeadLetter] = OrderedDict()
        self._closed = False
        self._log = LogLines()

    async def publish(self, envelope: Envelope) -> None:
        """See Bus."""
        groups = self._groups_of(envelope.kind)
        self._refuse_beyond_limits(envelope, groups)
        self._log.published(envelope)
        queued = Queued(envelope)
        for group in groups:
            group.put(queued)

    def subscribe(
        self, kind: Kind, group: str, handler: Handler, *, slots: int = 8
    ) -> Slots:
        """See Bus."""
        groups = self._groups.setdefault(kind, {})
        queue = groups.get(group)
        if queue is None:
            queue = groups[group] = Group(kind, group)
            for waiting in self._unclaimed.pop(kind, Group(kind, "")).waiting:
                queue.put(waiting)

        subscription = Slots(queue, handler, slots, self._clock, self._bury)
        self._subscriptions.append(subscription)
        return subscription

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

        waiter = self._replies.open(envelope.id, timeout_s, until)
        try:
            await self.publish(envelope)
            return await waiter.replies()
        finally:
            self._replies.close(envelope.id)

    async def reply(self, address: str, envelope: Envelope) -> None:
        """See Bus."""
        heard = address == self.address and self._replies.deliver(envelope)
        self._log.replied(envelope, heard=heard)

    def broadcast(self, topic: str, make: Callable[[], Envelope]) -> None:
        """See Bus."""
        self._topics.broadcast(topic, make)

    def listen(self, topic: str, *, buffer: int = 1_000) -> Listener:
        """See Bus."""
        return Listener(self._topics, topic, buffer)

    def on_loss(self, ring: Callable[[], Awaitable[None]]) -> None:
        """See Bus."""

    async def ping(self) -> None:
        """See Bus."""
        self._refuse_closed()

    async def groups(self) -> dict[str, GroupState]:
        """See Bus."""
        return {
            f"{kind}/{name}": GroupState(
                waiting=len(group), pending=group.handling, consumers=group.consumers
            )
            for kind, groups in self._groups.items()
            for name, group in groups.items()
        }

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """See Bus."""
        return tuple(reversed(self._dead.values()))[:limit]

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        """See Bus."""
        return self._dead.get(letter_id)

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """See Bus."""
        letter = self._dead.get(letter_id)
        if letter is None:
            return False

        await self.publish(_ENVELOPES.validate_json(letter.original))
        return await self.drop_dead_letter(letter_id)

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """See Bus."""
        return self._dead.pop(letter_id, None) is not None

    async def close(self) -> None:
        """See Bus."""
        self._closed = True
        while self._subscriptions:
            await self._subscriptions.pop().close()

    def _groups_of(self, kind: str) -> tuple[Group, ...]:
        groups = self._groups.get(kind)
        if groups:
            return tuple(groups.values())

        return (self._unclaimed.setdefault(kind, Group(kind, "")),)

    def _refuse_beyond_limits(
        self, envelope: Envelope, groups: tuple[Group, ...]
    ) -> None:
        self._refuse_closed()
        if any(len(group) >= self._capacity for group in groups):
            raise BusUnavailable(code="bus_backlog", delay=1.0)

        if envelope.kind in _FREE_FORM:
            _refuse_beyond_size(envelope)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BusUnavailable("The bus is closed.", code="draining")

    def _bury(self, burial: Burial) -> None:
        envelope = burial.envelope
        self._log.dead(
            envelope.id,
            envelope,
            kind=envelope.kind,
            group=burial.group,
            reason=burial.reason,
            tries=burial.tries,
        )
        self._dead.setdefault(
            envelope.id,
            DeadLetter(
                id=envelope.id,
                kind=envelope.kind,
                group=burial.group,
                reason=burial.reason,
                count=burial.tries,
                original=envelope.model_dump_json().encode(),
                at=stamp(self._clock.now()),
            ),
        )
        if len(self._dead) > _MOST_DEAD_LETTERS:
            self._dead.popitem(last=False)


def _refuse_beyond_size(envelope: Envelope) -> None:
    size = len(envelope.model_dump_json())
    if size > LIMITS["message_bytes"]:
        raise PermanentError(
            f"The message has {size} bytes; the limit is {LIMITS['message_bytes']}.",
            code="message_too_large",
        )
