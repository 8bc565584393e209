"""Conversations: rows, inboxes, turn logs and histories behind one aggregate."""

from __future__ import annotations

from typing import Literal

from contracts import (
    ChatMessage,
    ConversationRow,
    InboxItem,
    Lease,
    Timestamp,
    TurnEvent,
)
from store.cursors import Span
from store.protocol import Cursor, Page, TurnAppend
from store.sqlite import conversation_log as log
from store.sqlite import conversation_rows as rows
from store.sqlite.conversation_rows import conversation_of
from store.sqlite.listing import part_of
from store.sqlite.rows import many, unless_refused
from store.sqlite.writer import Database


class SqliteConversations:
    """Conversations in their rows, inboxes, turn logs and histories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, row: ConversationRow) -> tuple[ConversationRow, bool]:
        """See Conversations."""
        new = rows.new_row(row)
        before = await self._database.write(lambda c: rows.insert(c, new))
        return (row, True) if before is None else (conversation_of(before), False)

    async def get(self, tenant: str, conversation_id: str) -> ConversationRow | None:
        """See Conversations."""
        found = await self._database.read(
            lambda c: rows.select(c, tenant, conversation_id)
        )
        return None if found is None else conversation_of(found)

    async def at(self, tenant: str, kind: str, address: str) -> ConversationRow | None:
        """See Conversations."""
        found = await self._database.read(lambda c: rows.at(c, tenant, kind, address))
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
        conditions = {"tenant = ?": tenant, "subject = ?": subject}
        span = Span(limit, after, "desc")
        part = await self._database.read(
            lambda c: part_of(c, rows.ALL, conditions, span)
        )
        return Page(tuple(map(conversation_of, part.rows)), part.next)

    async def bind(
        self, tenant: str, conversation_id: str, flow: str | None
    ) -> ConversationRow | None:
        """See Conversations."""
        found = await self._database.write(
            lambda c: rows.bind(c, tenant, conversation_id, flow)
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
        result = await self._database.write(
            lambda c: rows.put(c, (tenant, conversation_id), item, most)
        )
        return unless_refused(result)

    async def drain(self, tenant: str, conversation_id: str) -> tuple[InboxItem, ...]:
        """See Conversations."""
        found = await self._database.read(
            lambda c: rows.unhandled(c, (tenant, conversation_id))
        )
        return tuple(InboxItem.model_validate_json(body) for (body,) in found)

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
        lease = Lease(owner=owner, until=until)
        found = await self._database.write(
            lambda c: rows.claim(c, (tenant, conversation_id), lease, now)
        )
        return None if found is None else conversation_of(found)

    async def renew(
        self, tenant: str, conversation_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """See Conversations."""
        lease = Lease(owner=owner, until=until)
        return await self._database.write(
            lambda c: rows.renew(c, (tenant, conversation_id), lease)
        )

    async def release(
        self,
        tenant: str,
        conversation_id: str,
        *,
        owner: str,
        wake_at: Timestamp | None = None,
    ) -> None:
        """See Conversations."""
        await self._database.write(
            lambda c: rows.release(c, (tenant, conversation_id), owner, wake_at)
        )

    async def append(
        self, tenant: str, conversation_id: str, append: TurnAppend
    ) -> None:
        """See Conversations."""
        entries = log.prepared((tenant, conversation_id), append)
        unless_refused(await self._database.write(lambda c: log.write(c, entries)))

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
        key = (tenant, conversation_id)
        found = await self._database.read(
            lambda c: log.events(c, key, after, limit, order)
        )
        return tuple(TurnEvent.model_validate_json(body) for (body,) in found)

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
        key = (tenant, conversation_id)
        found = await self._database.read(
            lambda c: log.messages(c, key, after, limit, order)
        )
        return tuple(ChatMessage.model_validate_json(body) for (body,) in found)

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[ConversationRow, ...]:
        """See Conversations."""
        sql = (
            f"SELECT {rows.COLUMNS} FROM conversations "
            "WHERE due <= ? ORDER BY due, created_at LIMIT ?"
        )
        found = await self._database.read(lambda c: many(c, sql, (now, limit)))
        return tuple(map(conversation_of, found))

    async def abandoned_by_restart(self) -> int:
        """See Conversations."""
        return await self._database.write(rows.void_leases)
