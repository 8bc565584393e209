"""What every part of a held conversation works with: its log, its mail, its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from agents.conversation.log import TalkLog
from agents.conversation.offers import Offers
from agents.conversation.opening import Opening
from agents.conversation.settings import ConversationSettings
from agents.conversation.turns import Book, Turn
from bus import Bus
from contracts import (
    ENDED,
    SHORT_MEMORY,
    BusUnavailable,
    ChatMemory,
    ChatMessage,
    Clock,
    ConversationRow,
    Decision,
    Deliver,
    InboxItem,
    JsonObject,
    PermanentError,
    StoreUnavailable,
    UserSpoke,
    delivery,
    said,
    stamp,
    words_of,
)
from contracts.failpoints import reach
from llm import Model
from store import ChatContext, Store

_SHOWN_CHARS = 4_096
"""So much of a reply travels with the hint; the whole lies in the store."""


class Means(NamedTuple):
    """What conversations are held with."""

    store: Store
    bus: Bus
    clock: Clock
    model: Model
    context: ChatContext
    offers: Offers
    settings: ConversationSettings


class Desk:
    """One conversation that is ours.

    What is said in the log is durable before anything follows from it.
    """

    def __init__(
        self, means: Means, row: ConversationRow, book: Book, owner: str
    ) -> None:
        self.means = means
        self.row = row
        self.book = book
        self.log = TalkLog(means.store.conversations, means.clock, row, book, owner)
        self.flow = row.flow
        """The agent flow that the conversation is bound to."""

        self.unsendable: dict[str, PermanentError] = {}
        """Decisions that no bus takes, and why: their turns fail."""

        self.recollection = row.recollection
        self.may_rest: Callable[[], bool] = lambda: False
        """Whether nothing is left to do once no turn is open."""

        self.lines = structlog.get_logger("conversation").bind(conversation_id=row.id)

    async def open(
        self, item: InboxItem, new: Opening, chain: str, **more: Any
    ) -> None:
        """Log the first decision of a turn, then send it."""
        self.log.say(
            new.turn_id,
            "turn_proposed",
            kind=new.kind,
            item=item.plain(),
            decision=new.decision.plain(),
            correlation_id=chain,
            **more,
        )
        self.log.handle(item.id)
        await self.log.keep()
        reach("C1")
        await self.send(new.decision, chain)

    async def told_of(self, run_id: str) -> JsonObject:
        """How a run is, as a model is told."""
        run = await self.means.store.runs.get(self.row.tenant, run_id)
        if run is None:
            return {"run_id": run_id, "status": "unknown"}

        state = run.state
        error = state.error.plain() if state.error else None
        told: JsonObject = {
            "run_id": run_id,
            "status": state.status,
            "workflow": run.workflow,
        }
        if state.status in ENDED:
            told |= {"output": state.output, "error": error}
        elif state.paused_reason:
            told |= {"paused_reason": state.paused_reason}

        return told

    async def send(self, decision: Decision, chain: str) -> None:
        """Propose; what gets lost on the way is sent again."""
        envelope = said(
            decision,
            by="conversation",
            tenant=self.row.tenant,
            at=stamp(self.means.clock.now()),
            not_after=decision.not_after,
            correlation_id=chain,
        )
        try:
            await self.means.bus.publish(envelope)
        except BusUnavailable as error:
            self.lines.warning("hint.dropped", what="decision", error=error.message)
        except PermanentError as error:
            self.unsendable[decision.id] = error

    def unsendable_of(self, turn: Turn) -> PermanentError | None:
        """Why a decision of the turn can never be judged, if that is so."""
        found = (self.unsendable.get(one.decision.id) for one in turn.proposed())
        return next(filter(None, found), None)

    async def send_again(self) -> None:
        """Propose once more what nobody has judged."""
        for turn in self.book.turns.values():
            for one in turn.proposed():
                if one.verdict is None and one.outcome is None:
                    await self.send(one.decision, turn.correlation_id)

    async def memory(self) -> ChatMemory:
        """The last messages, from the short-term context or else from the history."""
        tenant, id_, last = self.row.tenant, self.row.id, self.book.messages
        if not last:
            return ChatMemory(summary=self.recollection.summary)

        try:
            kept = await self.means.context.recall(tenant, id_)
        except StoreUnavailable:
            kept = None

        if kept is not None and [one.n for one in kept.messages][-1:] == [last]:
            return kept.model_copy(update={"summary": self.recollection.summary})

        conversations = self.means.store.conversations
        latest = await conversations.messages(
            tenant, id_, limit=SHORT_MEMORY, order="desc"
        )
        memory = ChatMemory(messages=latest[::-1], summary=self.recollection.summary)
        await self._copy(memory)
        return memory

    @property
    def delivers(self) -> bool:
        """Whether replies go out by a door; over HTTP they are read."""
        return self.row.channel.kind != "http"

    async def look_at_binding(self) -> None:
        """The conversation was bound, or unbound, while it is held."""
        row = await self.means.store.conversations.get(self.row.tenant, self.row.id)
        self.flow = row.flow if row is not None else None

    def tell_of_end(self) -> None:
        """Let whoever waits for a turn look into the log."""
        bell = UserSpoke(conversation_id=self.row.id)
        at = stamp(self.means.clock.now())
        self.means.bus.broadcast(
            words_of(self.row.id),
            lambda: said(bell, by="conversation", tenant=self.row.tenant, at=at),
        )

    async def deliver(
        self, text: str, id_: str, chain: str, runs: Sequence[str] = ()
    ) -> None:
        """Lay a reply out for the door of a chat; a conversation over HTTP is read.

        ``runs`` go on, and the door may tell of them. The same id again is the same
        reply. Raises StoreUnavailable.
        """
        if not self.delivers:
            return

        at = stamp(self.means.clock.now())
        record = delivery(
            text,
            id_=id_,
            tenant=self.row.tenant,
            channel=self.row.channel,
            at=at,
            conversation_id=self.row.id,
            correlation_id=chain,
            runs=[*runs],
        )
        await self.means.store.door_records.add(record)
        shown = text[:_SHOWN_CHARS]
        letter = Deliver(id=id_, conversation_id=self.row.id, text=shown)
        hint = said(
            letter,
            by="conversation",
            tenant=self.row.tenant,
            at=at,
            correlation_id=chain,
        )
        try:
            await self.means.bus.publish(hint)
        except BusUnavailable as error:
            self.lines.warning("hint.dropped", what="deliver", error=error.message)

    async def _copy(self, memory: ChatMemory) -> None:
        try:
            await self.means.context.replace(self.row.tenant, self.row.id, memory)
        except StoreUnavailable as error:
            self.lines.warning("hint.dropped", what="context", error=error.message)

    async def remember(self, messages: list[ChatMessage]) -> None:
        """Let the short-term context know; it may be lost, and is rebuilt then."""
        more = ChatMemory(messages=tuple(messages))
        try:
            await self.means.context.append(self.row.tenant, self.row.id, more)
        except StoreUnavailable as error:
            self.lines.warning("hint.dropped", what="context", error=error.message)
