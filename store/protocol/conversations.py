"""Conversations: their rows, inboxes, turn logs and histories."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from contracts import (
    ChatMessage,
    ConversationRow,
    ConversationState,
    InboxItem,
    Recollection,
    Timestamp,
    TurnEvent,
)
from store.protocol.pages import Cursor, Page


class TurnAppend(NamedTuple):
    """One append to a turn log and what travels with it, all or nothing."""

    events: tuple[TurnEvent, ...]
    writer: str
    """The token of this claim: an own write come back is recognised by it."""

    handled: tuple[str, ...] = ()
    """Inbox items these events answer."""

    messages: tuple[ChatMessage, ...] = ()
    """What the history gains; their ``n`` go on from its last."""

    state: ConversationState | None = None
    """The projection after the last event, given when a turn ends."""

    recollection: Recollection | None = None
    """Takes the place of the old one; None leaves it, byte for byte."""

    wake_at: Timestamp | None = None
    """When the open turn wants to be looked at; None: not before something comes."""

    release: bool = False
    """The claim ends with this append."""


class Conversations(Protocol):
    """Conversations and their turn logs; the log is the lock.

    Guarantees: ``seq`` is 1..n without gaps, and so is ``n`` of the history; of two
    writers of one position one wins and the other gets SequenceConflict. What an
    append brings is seen whole or not at all. The inbox keeps the order of arrival.
    Cost does not grow with a conversation's past.
    """

    async def create(self, row: ConversationRow) -> tuple[ConversationRow, bool]:
        """Insert a conversation; the stored row and whether it is ours.

        One of the same id, or the one of the same tenant and channel if the channel
        has an address, is there already otherwise.
        """

    async def get(self, tenant: str, conversation_id: str) -> ConversationRow | None:
        """The row, its projection as last written."""

    async def at(self, tenant: str, kind: str, address: str) -> ConversationRow | None:
        """The conversation of a channel's address."""

    async def page(
        self,
        tenant: str,
        *,
        subject: str | None = None,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[ConversationRow]:
        """Rows by time of creation, newest first; of one subject, if given."""

    async def bind(
        self, tenant: str, conversation_id: str, flow: str | None
    ) -> ConversationRow | None:
        """Bind it to an agent flow, or to none; the row then, None if there is none."""

    async def put(
        self,
        tenant: str,
        conversation_id: str,
        item: InboxItem,
        *,
        most: int | None = None,
    ) -> bool:
        """Lay something into the inbox; False if the same item lay there, or lies.

        False also if there is no such conversation. Raises InboxFull if ``most`` items
        lie unhandled and this is not one that lay there. Of those who ask at the same
        instant a few more may be let in.
        """

    async def drain(self, tenant: str, conversation_id: str) -> tuple[InboxItem, ...]:
        """What lies unhandled in the inbox, in order of arrival."""

    async def claim(
        self,
        tenant: str,
        conversation_id: str,
        *,
        owner: str,
        now: Timestamp,
        until: Timestamp,
    ) -> ConversationRow | None:
        """Take the lease of a conversation that nobody holds, or whose time is over.

        None if it is held or not there. An own claim come back is recognised by its
        ``owner`` and ``until``.
        """

    async def renew(
        self, tenant: str, conversation_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """Prolong our lease; False if it is no longer ours."""

    async def release(
        self,
        tenant: str,
        conversation_id: str,
        *,
        owner: str,
        wake_at: Timestamp | None = None,
    ) -> None:
        """Give our lease back; no harm if it is not ours.

        ``wake_at`` is when it wants to be looked at again though nothing came.
        """

    async def append(
        self, tenant: str, conversation_id: str, append: TurnAppend
    ) -> None:
        """Write events at their positions with all that travels with them.

        Raises SequenceConflict if a position is taken by another writer or one before
        it is empty; our own write come back is no conflict. NotFound if there is no
        such conversation.
        """

    async def events(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: int = 0,
        limit: int,
        order: Literal["asc", "desc"] = "asc",
    ) -> tuple[TurnEvent, ...]:
        """Events after a seq (before it, if ``desc`` and not 0), at most ``limit``."""

    async def messages(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: int = 0,
        limit: int,
        order: Literal["asc", "desc"] = "asc",
    ) -> tuple[ChatMessage, ...]:
        """The history after an ``n`` (before it, if ``desc`` and not 0)."""

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[ConversationRow, ...]:
        """Conversations of all tenants that want a worker and have none, oldest first.

        Without a live lease, and with something unhandled in the inbox, or due.
        """

    async def abandoned_by_restart(self) -> int:
        """Void every lease: nobody else can hold one. How many there were.

        Only an embedded store, which one process owns, does it; others return 0.
        """
