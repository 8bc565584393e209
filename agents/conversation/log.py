"""The turn log of one claimed conversation: what is said next, kept in one append."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from agents.conversation.turns import Book
from contracts import (
    ChatMessage,
    Clock,
    ConversationRow,
    Recollection,
    StoreUnavailable,
    Timestamp,
    TurnEvent,
    TurnEventType,
    later,
    new_id,
    stamp,
)
from store import Conversations, TurnAppend

_claims = count(1)
_FIRST_DELAY_S = 0.05
_LOOK_FOR_ENDS_S = 300.0
"""So late, at most, a conversation hears of an end whose news got lost."""

_LONGEST_DELAY_S = 1.0


class TalkLog:
    """Says events, folds them at once, and stores them together."""

    def __init__(
        self,
        conversations: Conversations,
        clock: Clock,
        row: ConversationRow,
        book: Book,
        owner: str,
    ) -> None:
        self.book = book
        self._row = row
        self._conversations = conversations
        self._clock = clock
        self._writer = f"{owner}/{next(_claims)}"
        self._said: list[TurnEvent] = []
        self._handled: list[str] = []
        self.is_giving_back = False
        """Whether an append that ends our claim is on its way, or has."""

        self.is_given_back = False
        """Whether an append has ended our claim."""

    @property
    def at(self) -> Timestamp:
        """Now."""
        return stamp(self._clock.now())

    def say(self, turn_id: str, what: TurnEventType, /, **payload: Any) -> None:
        """The next event; the book knows it at once, the store after ``keep``."""
        event = TurnEvent(
            id=new_id("evt"),
            conversation_id=self._row.id,
            turn_id=turn_id,
            seq=self.book.seq + 1,
            type=what,
            at=self.at,
            payload=payload,
        )
        self.book.apply(event)
        self._said.append(event)

    def handle(self, item_id: str) -> None:
        """The next append answers this item of the inbox."""
        self._handled.append(item_id)

    async def keep(
        self,
        *,
        messages: Sequence[ChatMessage] = (),
        recollection: Recollection | None = None,
        give_back: bool = False,
    ) -> None:
        """Store what was said; waits for a store that does not answer.

        ``give_back`` ends our claim with it. Until then the conversation is looked at
        when the claim ends. Raises SequenceConflict if it is somebody else's by now.
        """
        if not self._said:
            return

        append = TurnAppend(
            events=tuple(self._said),
            writer=self._writer,
            handled=tuple(self._handled),
            messages=tuple(messages),
            state=self.book.state,
            recollection=recollection,
            wake_at=self.wake_at if give_back else self.at,
            release=give_back,
        )
        self.is_giving_back = give_back
        await self._append(append)
        self._said, self._handled = [], []
        self.is_given_back = give_back

    @property
    def wake_at(self) -> Timestamp | None:
        """When somebody must look again at what is given back, though nothing comes."""
        if self.book.turns:
            return self.at

        return later(self.at, _LOOK_FOR_ENDS_S) if self.book.waiting else None

    async def _append(self, append: TurnAppend) -> None:
        delay_s, row = _FIRST_DELAY_S, self._row
        while True:
            try:
                return await self._conversations.append(row.tenant, row.id, append)
            except StoreUnavailable:
                pass  # the same write again is harmless

            await self._clock.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
