"""The policy in force: one document a tenant, replaced by compare-and-set."""

from __future__ import annotations

from contracts import PolicyRow
from store.mongo.database import Database, key


class MongoPolicies:
    """Policies in collection ``policies``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, tenant: str) -> PolicyRow | None:
        """See Policies."""
        found = await self._database.by_id("policies", key(tenant))
        return None if found is None else PolicyRow.model_validate_json(found["body"])

    async def replace(self, row: PolicyRow, *, from_revision: int) -> bool:
        """See Policies."""
        if await self._replace(row, from_revision):
            return True

        return await self.current(row.tenant) == row  # our own change come back

    async def _replace(self, row: PolicyRow, from_revision: int) -> bool:
        which = {"_id": key(row.tenant)}
        fields = {"revision": row.revision, "body": row.model_dump_json()}
        if from_revision == 0:
            return await self._database.insert("policies", {**which, **fields})

        as_it_was = {**which, "revision": from_revision}
        return await self._database.changed("policies", as_it_was, {"$set": fields})
