"""What stands still; asked before every effect, so kept in memory."""

from __future__ import annotations

from contracts import FreezeRow
from store.sqlite.caches import Coherent
from store.sqlite.rows import many
from store.sqlite.writer import Database

_TENANTS = 1_024


class SqliteFreezes:
    """Freezes in table ``freeze``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: Coherent[str, tuple[FreezeRow, ...]] = Coherent(_TENANTS)

    async def set(self, row: FreezeRow) -> None:
        """See Freezes."""
        sql = "INSERT INTO freeze VALUES (?,?,?,?) ON CONFLICT DO NOTHING"
        values = (row.tenant, row.scope, row.name, row.model_dump_json())
        with self._rows.writing(row.tenant):
            await self._database.write(lambda c: c.execute(sql, values).rowcount)

    async def clear(self, tenant: str, scope: str, name: str) -> bool:
        """See Freezes."""
        sql = "DELETE FROM freeze WHERE tenant = ? AND scope = ? AND name = ?"
        values = (tenant, scope, name)
        with self._rows.writing(tenant):
            cleared = await self._database.write(
                lambda c: c.execute(sql, values).rowcount
            )

        return cleared == 1

    async def of(self, tenant: str) -> tuple[FreezeRow, ...]:
        """See Freezes."""
        known = self._rows.get(tenant)
        if known is not None:
            return known

        since = self._rows.reading()
        sql = "SELECT body FROM freeze WHERE tenant = ? ORDER BY scope, name"
        found = await self._database.read(lambda c: many(c, sql, (tenant,)))
        rows = tuple(FreezeRow.model_validate_json(body) for (body,) in found)
        self._rows.keep(tenant, rows, since)
        return rows
