"""What stands still; asked before every effect, and never from memory."""

from __future__ import annotations

from contracts import FreezeRow
from store.mongo.database import Database, key


class MongoFreezes:
    """Freezes in collection ``freeze``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, row: FreezeRow) -> None:
        """See Freezes."""
        document = {
            "_id": key(row.tenant, row.scope, row.name),
            "tenant": row.tenant,
            "scope": row.scope,
            "name": row.name,
            "body": row.model_dump_json(),
        }
        await self._database.insert("freeze", document)

    async def clear(self, tenant: str, scope: str, name: str) -> bool:
        """See Freezes."""
        which = {"_id": key(tenant, scope, name)}
        return await self._database.delete("freeze", which) == 1

    async def of(self, tenant: str) -> tuple[FreezeRow, ...]:
        """See Freezes."""
        found = await self._database.having("freeze", "tenant", tenant, ("body",))
        return tuple(FreezeRow.model_validate_json(each["body"]) for each in found)
