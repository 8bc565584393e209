"""The bus as everybody sees it: how a message is carried, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from contracts import Envelope, Message
from contracts.envelope import Kind

Handler = Callable[[Envelope], Awaitable[None]]
"""Takes one message; returning acknowledges it.

Raising TemporaryError asks for another try, PermanentError for the dead letters.
"""


class DeadLetter(Message):
    """A message nobody could handle, with why and how often it was tried."""

    id: str
    """The id of the message, so that one message is one dead letter."""

    kind: str
    group: str
    reason: str
    count: int
    original: bytes
    at: str


class GroupState(Message):
    """How far a group of a kind is; numbers of messages and of subscriptions."""

    waiting: int
    """Published, and not yet handed to a handler; later tries included."""

    pending: int
    """Handed to a handler, and not yet acknowledged."""

    consumers: int
    """Subscriptions that draw from it, of every process."""


class Subscription(Protocol):
    """A handler that is being fed.

    Guarantees: after ``close`` returns no handler of it runs or will run.
    """

    async def close(self) -> None:
        """Stop reading, finish what runs, acknowledge. Twice is harmless."""


class Bus(Protocol):
    """Carries envelopes between agents and gateways.

    Guarantees:

    - *Delivery*: each message of a kind reaches each group subscribed to the kind at
      least once. A message published before the first subscriber of its kind waits.
    - *Order*: none. Order belongs to the aggregates in the store.
    - *Retries*: a handler that raises TemporaryError is tried again with growing
      delays, 5 times in all; then, or at once after PermanentError or any other
      error, the message is a dead letter, once by id. It blocks nobody.
    - *Slots*: at most ``slots`` handlers of a subscription run at a time, and no
      subscription can starve another.
    - *Crash*: in process nothing survives; on Redis what was published is delivered.
    - *Refusal*: a full bus refuses producers with BusUnavailable (``bus_backlog``);
      consumers can always drain. A message is at most 256 KiB as JSON.
    """

    address: str
    """The reply channel of this process; put into ``reply_to``."""

    async def publish(self, envelope: Envelope) -> None:
        """Hand a message to every group of its kind; durable when it returns.

        Raises BusUnavailable if full, lagging, closed or away, its MaybePublished if
        the bus may have taken the message all the same, PermanentError
        (``message_too_large``) beyond the limit.
        """

    def subscribe(
        self, kind: Kind, group: str, handler: Handler, *, slots: int = 8
    ) -> Subscription:
        """Feed a handler every message of a kind that reaches the group."""

    async def ask(
        self,
        envelope: Envelope,
        *,
        timeout_s: float,
        until: Callable[[Envelope], bool] | None = None,
    ) -> tuple[Envelope, ...]:
        """Publish and return the replies up to the first that ``until`` accepts.

        A reply is a message whose ``in_reply_to`` is the envelope's id; without
        ``until`` the first one ends the wait. The envelope is sent with this
        process's ``reply_to``.
        Raises NoReply with what did arrive when the time is over.
        """

    async def reply(self, address: str, envelope: Envelope) -> None:
        """Send a message to the reply channel of a process; at most once.

        Nobody waiting there is no error: whoever asked reads the record.
        """

    def broadcast(self, topic: str, make: Callable[[], Envelope]) -> None:
        """Tell whoever listens to the topic right now; at most once, never waits.

        ``make`` is called only if somebody may listen.
        """

    def listen(
        self, topic: str, *, buffer: int = 1_000
    ) -> AbstractAsyncContextManager[AsyncIterator[Envelope]]:
        """The broadcasts of a topic from entering the context on.

        The iterator ends with BusUnavailable: with ``bus_backlog`` for a listener that
        is more than ``buffer`` messages behind, with another code when the bus was
        away and broadcasts may be missed. Entering raises it while the bus is away.
        """

    def on_loss(self, ring: Callable[[], Awaitable[None]]) -> None:
        """Call this whenever messages the bus held are found to be gone.

        What was under way is then rung for from the store. A TemporaryError of it is
        logged: the sweeps go on. In process nothing is ever lost.
        """

    async def ping(self) -> None:
        """Raises BusUnavailable unless a message could be published now."""

    async def groups(self) -> dict[str, GroupState]:
        """Every group that was ever subscribed, by ``kind/group``.

        Raises BusUnavailable.
        """

    async def dead_letters(self, *, limit: int = 50) -> tuple[DeadLetter, ...]:
        """The latest dead letters, newest first. Raises BusUnavailable."""

    async def dead_letter(self, letter_id: str) -> DeadLetter | None:
        """The dead letter of this id. Raises BusUnavailable."""

    async def retry_dead_letter(self, letter_id: str) -> bool:
        """Publish the original bytes to their kind once more; False if not there.

        The letter goes after the message is published, so that a crash in between
        tells it twice and loses nothing. Raises BusUnavailable.
        """

    async def drop_dead_letter(self, letter_id: str) -> bool:
        """Forget a dead letter; False if it is not there. Raises BusUnavailable."""

    async def close(self) -> None:
        """Stop reading, finish, acknowledge, close. Twice is harmless."""
