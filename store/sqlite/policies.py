"""The policy in force: one row a tenant, replaced by compare-and-set."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import PolicyRow
from store.sqlite.rows import one
from store.sqlite.writer import Database


def _select(connection: Connection, tenant: str) -> PolicyRow | None:
    row = one(connection, "SELECT body FROM policies WHERE tenant = ?", (tenant,))
    return None if row is None else PolicyRow.model_validate_json(row[0])


def _replace(connection: Connection, row: PolicyRow, from_revision: int) -> bool:
    before = _select(connection, row.tenant)
    if (before.revision if before else 0) != from_revision:
        return before == row  # our own change come back

    connection.execute(
        "INSERT INTO policies VALUES (?,?,?) ON CONFLICT DO UPDATE "
        "SET revision = excluded.revision, body = excluded.body",
        (row.tenant, row.revision, row.model_dump_json()),
    )
    return True


class SqlitePolicies:
    """Policies in table ``policies``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, tenant: str) -> PolicyRow | None:
        """See Policies."""
        return await self._database.read(lambda c: _select(c, tenant))

    async def replace(self, row: PolicyRow, *, from_revision: int) -> bool:
        """See Policies."""
        return await self._database.write(lambda c: _replace(c, row, from_revision))
