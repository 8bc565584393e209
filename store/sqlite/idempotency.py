"""Idempotency-Keys and the decisions they name."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import IdempotencyRow, Timestamp
from store.sqlite.rows import Row, one
from store.sqlite.writer import Database

_AT_ONCE = 1_000
"""Rows that one unit removes, so that nobody waits long behind it."""

_KEY = "tenant = ? AND subject = ? AND route = ? AND key = ?"


def _claim(connection: Connection, row: Row, at: Timestamp) -> Row | None:
    """Write a row; the living one that was there before, if one was."""
    claimed = connection.execute(
        "INSERT INTO idempotency VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE "
        "SET expires_at = excluded.expires_at, body = excluded.body "
        "WHERE expires_at <= ?",
        (*row, at),
    ).rowcount
    if claimed:
        return None

    return one(connection, f"SELECT body FROM idempotency WHERE {_KEY}", row[:4])


def _expire_some(connection: Connection, now: Timestamp) -> int:
    return connection.execute(
        "DELETE FROM idempotency WHERE (tenant, subject, route, key) IN ("
        "SELECT tenant, subject, route, key FROM idempotency "
        "WHERE expires_at <= ? LIMIT ?)",
        (now, _AT_ONCE),
    ).rowcount


def _row(row: IdempotencyRow) -> Row:
    key = (row.tenant, row.subject, row.route, row.key)
    return *key, row.expires_at, row.model_dump_json()


class SqliteIdempotency:
    """Idempotency in table ``idempotency``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, row: IdempotencyRow) -> tuple[IdempotencyRow, bool]:
        """See Idempotency."""
        values, at = _row(row), row.created_at
        before = await self._database.write(lambda c: _claim(c, values, at))
        if before is None:
            return row, True

        return IdempotencyRow.model_validate_json(before[0]), False

    async def forget(self, tenant: str, subject: str, route: str, key: str) -> None:
        """See Idempotency."""
        sql = f"DELETE FROM idempotency WHERE {_KEY}"
        values = (tenant, subject, route, key)
        await self._database.write(lambda c: c.execute(sql, values).rowcount)

    async def expire(self, now: Timestamp) -> int:
        """See Idempotency."""
        removed = 0
        while True:
            some = await self._database.write(lambda c: _expire_some(c, now))
            removed += some
            if some < _AT_ONCE:
                return removed
