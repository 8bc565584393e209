"""Bearer keys and the subjects behind them."""

from __future__ import annotations

from contracts import KeyRow, Timestamp
from store.cursors import Span
from store.mongo.database import Database, Document, key
from store.mongo.listing import Source, part_of
from store.protocol import Cursor, Page
from store.texts import json_of, with_fields

_FIELDS = ("body", "revoked_at")
_ALL = Source("keys", "created_at", "id", _FIELDS)


def _document(row: KeyRow) -> Document:
    return {
        "_id": row.id,
        "tenant": row.tenant,
        "id": row.id,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "body": row.model_dump_json(exclude={"revoked_at"}),
    }


def _key(document: Document) -> KeyRow:
    revoked_at = json_of(document["revoked_at"])
    return KeyRow.model_validate_json(
        with_fields(document["body"], revoked_at=revoked_at)
    )


class MongoKeys:
    """Keys in collections ``keys`` and ``subjects``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def subject(self, tenant: str, name: str, fresh_id: str) -> str:
        """See Keys."""
        which = {"_id": key(tenant, name)}
        found = await self._database.one("subjects", which)
        if found is None:
            if await self._database.insert("subjects", {**which, "id": fresh_id}):
                return fresh_id

            found = await self._database.one("subjects", which)

        return fresh_id if found is None else str(found["id"])

    async def create(self, key: KeyRow) -> KeyRow:
        """See Keys."""
        if await self._database.insert("keys", _document(key)):
            return key

        stored = await self.get(key.id)
        return key if stored is None else stored

    async def get(self, key_id: str) -> KeyRow | None:
        """See Keys."""
        found = await self._database.by_id("keys", key_id, _FIELDS)
        return None if found is None else _key(found)

    async def page(
        self, tenant: str, *, limit: int, after: Cursor | None = None
    ) -> Page[KeyRow]:
        """See Keys."""
        where, span = {"tenant": tenant}, Span(limit, after)
        part = await part_of(self._database, _ALL, where, span)
        return Page(tuple(map(_key, part.documents)), part.next)

    async def revoke(self, tenant: str, key_id: str, at: Timestamp) -> bool:
        """See Keys."""
        first = {"$ifNull": ["$revoked_at", {"$literal": at}]}
        return await self._database.changed(
            "keys",
            {"_id": key_id, "tenant": tenant},
            [{"$set": {"revoked_at": first}}],
        )
