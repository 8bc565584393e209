"""Which processes are alive and what they can do, and named leases."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import Capabilities, Timestamp, later
from store.sqlite.rows import Row, many
from store.sqlite.writer import Database

_FORGET_AFTER_S = 86_400
"""A worker that has not been seen for so long will not come back."""


def _beat(connection: Connection, row: Row, gone_before: Timestamp) -> None:
    connection.execute("DELETE FROM capabilities WHERE seen_at < ?", (gone_before,))
    connection.execute(
        "INSERT INTO capabilities VALUES (?,?,?) ON CONFLICT DO UPDATE "
        "SET seen_at = excluded.seen_at, body = excluded.body",
        row,
    )


class SqliteWorkers:
    """Workers in tables ``capabilities`` and ``leases``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heartbeat(self, capabilities: Capabilities) -> None:
        """See Workers."""
        seen_at = capabilities.seen_at
        row = (capabilities.worker, seen_at, capabilities.model_dump_json())
        gone_before = later(seen_at, -_FORGET_AFTER_S)
        await self._database.write(lambda c: _beat(c, row, gone_before))

    async def alive(self, since: Timestamp) -> tuple[Capabilities, ...]:
        """See Workers."""
        sql = "SELECT body FROM capabilities WHERE seen_at >= ? ORDER BY seen_at"
        rows = await self._database.read(lambda c: many(c, sql, (since,)))
        return tuple(Capabilities.model_validate_json(body) for (body,) in rows)

    async def leave(self, worker: str) -> None:
        """See Workers."""
        sql = "DELETE FROM capabilities WHERE worker = ?"
        await self._database.write(lambda c: c.execute(sql, (worker,)).rowcount)

    async def lease(
        self, name: str, owner: str, *, now: Timestamp, until: Timestamp
    ) -> bool:
        """See Workers."""
        sql = (
            "INSERT INTO leases VALUES (?,?,?) ON CONFLICT DO UPDATE "
            "SET owner = excluded.owner, until = excluded.until "
            "WHERE owner = excluded.owner OR until <= ?"
        )
        values = (name, owner, until, now)
        taken = await self._database.write(lambda c: c.execute(sql, values).rowcount)
        return taken == 1
