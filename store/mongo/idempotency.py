"""Idempotency-Keys and the decisions they name."""

from __future__ import annotations

from contracts import IdempotencyRow, Timestamp
from store.mongo.database import Database, Document, key


def _document(row: IdempotencyRow) -> Document:
    return {
        "_id": key(row.tenant, row.subject, row.route, row.key),
        "expires_at": row.expires_at,
        "body": row.model_dump_json(),
    }


class MongoIdempotency:
    """Idempotency in collection ``idempotency``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, row: IdempotencyRow) -> tuple[IdempotencyRow, bool]:
        """See Idempotency."""
        document = _document(row)
        which = {"_id": document["_id"]}
        while not await self._database.insert("idempotency", document):
            if await self._take_over(document, row.created_at):
                break

            found = await self._database.one("idempotency", which, ("body",))
            if found is not None:  # else it has just been forgotten
                return IdempotencyRow.model_validate_json(found["body"]), False

        return row, True

    async def forget(self, tenant: str, subject: str, route: str, key_: str) -> None:
        """See Idempotency."""
        which = {"_id": key(tenant, subject, route, key_)}
        await self._database.delete("idempotency", which)

    async def expire(self, now: Timestamp) -> int:
        """See Idempotency."""
        over = {"expires_at": {"$lte": now}}
        return await self._database.delete("idempotency", over)

    async def _take_over(self, document: Document, now: Timestamp) -> bool:
        """Replace a row whose time is over; whether there was one."""
        over = {"_id": document["_id"], "expires_at": {"$lte": now}}
        fields = {name: document[name] for name in ("expires_at", "body")}
        return await self._database.changed("idempotency", over, {"$set": fields})
