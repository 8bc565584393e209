"""A conversation's turn log and history: one document an append makes it one write.

It holds the events, the messages and all that the append changes beside them, which is
applied to the conversation's document afterwards, any number of times. An append begins
right after the last one, so that its ``_id`` has one winner.
"""

from __future__ import annotations

from typing import Literal

from contracts import ChatMessage, NotFound, SequenceConflict, TurnEvent
from store.appends import follow_each_other
from store.mongo.conversation_rows import changing
from store.mongo.database import Database, Document, Listing, key
from store.mongo.inbox import Inbox
from store.mongo.run_log import place
from store.mongo.schema import COUNTED
from store.protocol import TurnAppend

Key = tuple[str, str]
"""Tenant and id of a conversation."""

Order = Literal["asc", "desc"]

_APPENDS = "turn_appends"
_END = 10**12 - 1


class TurnLogs:
    """The logs of all conversations."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox

    async def append(self, owner: Key, append: TurnAppend) -> None:
        """See Conversations."""
        follow_each_other(event.seq for event in append.events)
        follow_each_other(message.n for message in append.messages)
        last = await self._last(owner, append)
        if not append.events:
            await self._beside(owner, append, last)
        elif append.events[0].seq <= last["last"]:
            await self._come_back(owner, append)
        elif append.events[0].seq > last["last"] + 1:
            raise SequenceConflict
        else:
            await self._write(owner, append)

    async def is_applied(self, owner: Key, row: Document) -> bool:
        """Whether a row is what the last append made of it; it is when this returns."""
        last = await self._last_entry(owner)
        if last is None or row["applied"] >= last["last"]:
            return True

        await self._apply(owner, last)
        return False

    async def events(
        self, owner: Key, after: int, limit: int, order: Order
    ) -> list[TurnEvent]:
        """See Conversations."""
        texts = await self._part(owner, ("first", "events"), (after, limit, order))
        return [TurnEvent.model_validate_json(text) for text in texts]

    async def messages(
        self, owner: Key, after: int, limit: int, order: Order
    ) -> list[ChatMessage]:
        """See Conversations."""
        texts = await self._part(owner, ("first_n", "messages"), (after, limit, order))
        return [ChatMessage.model_validate_json(text) for text in texts]

    async def _last(self, owner: Key, append: TurnAppend) -> Document:
        """The last append of a log, applied; raises NotFound."""
        last = await self._last_entry(owner)
        if last is not None:
            if last["writer"] != append.writer:
                await self._apply(owner, last)

            return last

        which = {"_id": key(*owner)}
        if await self._database.one("conversations", which, ("_id",)) is None:
            raise NotFound("There is no such conversation.")

        return {"last": 0, "writer": None}

    async def _last_entry(self, owner: Key) -> Document | None:
        ids = {"$gte": place(owner, 0), "$lte": place(owner, _END)}
        listing = Listing({"_id": ids}, (("_id", -1),), 1)
        found = await self._database.many(_APPENDS, listing)
        return found[0] if found else None

    async def _write(self, owner: Key, append: TurnAppend) -> None:
        if append.messages:
            end = await self._part(owner, ("first_n", "messages"), (0, 1, "desc"))
            last = ChatMessage.model_validate_json(end[0]).n if end else 0
            if append.messages[0].n != last + 1:
                raise SequenceConflict

        entry = _entry(owner, append)
        if await self._database.insert(_APPENDS, entry):
            await self._apply(owner, entry)
        else:
            await self._come_back(owner, append)

    async def _come_back(self, owner: Key, append: TurnAppend) -> None:
        """Finish our own append come back. Raises SequenceConflict if it is none."""
        which = {"_id": place(owner, append.events[0].seq)}
        found = await self._database.one(_APPENDS, which)
        ids = [event.id for event in append.events]
        if found is None or (found["ids"], found["writer"]) != (ids, append.writer):
            raise SequenceConflict

        await self._apply(owner, found)

    async def _beside(self, owner: Key, append: TurnAppend, last: Document) -> None:
        """Change what no event tells; only the last writer may."""
        if last["writer"] != append.writer:
            raise SequenceConflict

        entry = {**_changes(append), "last": last["last"]}
        await self._apply(owner, entry, sign="$lte")

    async def _apply(self, owner: Key, entry: Document, *, sign: str = "$lt") -> None:
        """Change the conversation as an append says, unless it has been done."""
        changes = dict(entry["changes"])
        if entry["handled"]:
            changes |= await self._inbox.handle(owner, entry["handled"])

        which = {"_id": key(*owner), "applied": {sign: entry["last"]}}
        change = changing({**changes, "applied": entry["last"]})
        await self._database.update("conversations", which, change)

    async def _part(
        self, owner: Key, what: tuple[str, str], span: tuple[int, int, Order]
    ) -> list[str]:
        """Texts of events or messages, by their numbers, as many as are wanted."""
        (first, texts), (after, limit, order) = what, span
        last = first.replace("first", "last")
        where: Document = {"tenant": owner[0], "conversation_id": owner[1]}
        if order == "asc":
            where[last], by = {"$gt": after}, (last, 1)
        else:
            where[first], by = {**COUNTED, "$lt": after or _END}, (first, -1)

        listing = Listing(where, (by,), limit + 1, (first, texts))
        found: list[str] = []
        for entry in await self._database.many(_APPENDS, listing):
            part = [
                text
                for n, text in enumerate(entry[texts], entry[first])
                if (n > after if order == "asc" else not after or n < after)
            ]
            found += part if order == "asc" else part[::-1]

        return found[:limit]


def _entry(owner: Key, append: TurnAppend) -> Document:
    events, messages = append.events, append.messages
    numbers: Document = {}
    if messages:
        numbers = {"first_n": messages[0].n, "last_n": messages[-1].n}

    return {
        "_id": place(owner, events[0].seq),
        "tenant": owner[0],
        "conversation_id": owner[1],
        "first": events[0].seq,
        "last": events[-1].seq,
        "writer": append.writer,
        "ids": [event.id for event in events],
        "events": [event.model_dump_json() for event in events],
        "messages": [message.model_dump_json() for message in messages],
        **numbers,
        **_changes(append),
    }


def _changes(append: TurnAppend) -> Document:
    """What an append changes in the conversation's document, and in its inbox."""
    changes: Document = {"wake_at": append.wake_at}
    if append.state is not None:
        changes["state"] = append.state.model_dump_json()

    if append.recollection is not None:
        changes["recollection"] = append.recollection.model_dump_json()

    if append.release:
        changes |= {"lease_owner": None, "lease_until": None}

    return {"changes": changes, "handled": list(append.handled)}
