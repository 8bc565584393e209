"""Conversations: documents, inboxes, turn logs and histories behind one aggregate."""

from __future__ import annotations

from typing import Literal

from contracts import (
    ChatMessage,
    ConversationRow,
    InboxFull,
    InboxItem,
    Timestamp,
    TurnEvent,
)
from store.cursors import Span
from store.mongo.conversation_log import TurnLogs
from store.mongo.conversation_rows import (
    ALL,
    FIELDS,
    changing,
    conversation_of,
    new_row,
)
from store.mongo.database import Database, Listing, key
from store.mongo.inbox import Inbox
from store.mongo.listing import part_of
from store.mongo.schema import PRESENT
from store.protocol import Cursor, Page, TurnAppend

_CLAIMS = 3
"""How often a claim may find that the append before it was not applied."""


class MongoConversations:
    """Conversations in ``conversations``, ``conversation_inbox``, ``turn_appends``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inbox = Inbox(
            database,
            "conversations",
            "conversation_inbox",
            "conversation_id",
            changing,
        )
        self._logs = TurnLogs(database, self._inbox)

    async def create(self, row: ConversationRow) -> tuple[ConversationRow, bool]:
        """See Conversations."""
        if await self._database.insert("conversations", new_row(row)):
            return row, True

        before = await self.get(row.tenant, row.id)
        if before is None:
            channel = row.channel
            before = await self.at(row.tenant, channel.kind, channel.address)

        return (row, False) if before is None else (before, False)

    async def get(self, tenant: str, conversation_id: str) -> ConversationRow | None:
        """See Conversations."""
        found = await self._database.by_id(
            "conversations", key(tenant, conversation_id), FIELDS
        )
        return None if found is None else conversation_of(found)

    async def at(self, tenant: str, kind: str, address: str) -> ConversationRow | None:
        """See Conversations."""
        where = {"tenant": tenant, "kind": kind, "address": address}
        found = await self._database.one("conversations", where, FIELDS)
        return None if found is None else conversation_of(found)

    async def page(
        self,
        tenant: str,
        *,
        subject: str | None = None,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[ConversationRow]:
        """See Conversations."""
        conditions = {"tenant": tenant, "subject": subject}
        span = Span(limit, after, "desc")
        part = await part_of(self._database, ALL, conditions, span)
        return Page(tuple(map(conversation_of, part.documents)), part.next)

    async def bind(
        self, tenant: str, conversation_id: str, flow: str | None
    ) -> ConversationRow | None:
        """See Conversations."""
        which = {"_id": key(tenant, conversation_id)}
        found = await self._database.after(
            "conversations", which, changing({"flow": flow})
        )
        return None if found is None else conversation_of(found)

    async def put(
        self,
        tenant: str,
        conversation_id: str,
        item: InboxItem,
        *,
        most: int | None = None,
    ) -> bool:
        """See Conversations."""
        owner = (tenant, conversation_id)
        if most is not None and await self._inbox.is_full(owner, most):
            if await self._inbox.select(owner, item.id) is not None:
                return False

            raise InboxFull(most)

        more = {"spoke_at": item.at} if item.kind == "said" else {}
        return await self._inbox.put(owner, item, **more)

    async def drain(self, tenant: str, conversation_id: str) -> tuple[InboxItem, ...]:
        """See Conversations."""
        return await self._inbox.unhandled((tenant, conversation_id))

    async def claim(
        self,
        tenant: str,
        conversation_id: str,
        *,
        owner: str,
        now: Timestamp,
        until: Timestamp,
    ) -> ConversationRow | None:
        """See Conversations."""
        ours = {"lease_owner": owner, "lease_until": until}
        which = {
            "_id": key(tenant, conversation_id),
            "$or": [{"lease_until": None}, {"lease_until": {"$lte": now}}, ours],
        }
        for _ in range(_CLAIMS):
            found = await self._database.after("conversations", which, changing(ours))
            if found is None:
                return None

            if await self._logs.is_applied((tenant, conversation_id), found):
                return conversation_of(found)

        return None

    async def renew(
        self, tenant: str, conversation_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """See Conversations."""
        which = {"_id": key(tenant, conversation_id), "lease_owner": owner}
        change = changing({"lease_until": until})
        return await self._database.changed("conversations", which, change)

    async def release(
        self,
        tenant: str,
        conversation_id: str,
        *,
        owner: str,
        wake_at: Timestamp | None = None,
    ) -> None:
        """See Conversations."""
        which = {"_id": key(tenant, conversation_id), "lease_owner": owner}
        free = {"lease_owner": None, "lease_until": None, "wake_at": wake_at}
        await self._database.update("conversations", which, changing(free))

    async def append(
        self, tenant: str, conversation_id: str, append: TurnAppend
    ) -> None:
        """See Conversations."""
        await self._logs.append((tenant, conversation_id), append)

    async def events(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: int = 0,
        limit: int,
        order: Literal["asc", "desc"] = "asc",
    ) -> tuple[TurnEvent, ...]:
        """See Conversations."""
        owner = (tenant, conversation_id)
        return tuple(await self._logs.events(owner, after, limit, order))

    async def messages(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: int = 0,
        limit: int,
        order: Literal["asc", "desc"] = "asc",
    ) -> tuple[ChatMessage, ...]:
        """See Conversations."""
        owner = (tenant, conversation_id)
        return tuple(await self._logs.messages(owner, after, limit, order))

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[ConversationRow, ...]:
        """See Conversations."""
        listing = Listing(
            {"due": {**PRESENT, "$lte": now}},
            (("due", 1), ("created_at", 1)),
            limit,
            FIELDS,
        )
        found = await self._database.many("conversations", listing)
        return tuple(map(conversation_of, found))

    async def abandoned_by_restart(self) -> int:
        """See Conversations; here others may hold leases, so their time decides."""
        return 0
