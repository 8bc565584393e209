"""The ledger: each entry is chained in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Connection
from typing import Literal

from contracts import JsonObject, LedgerEntry, SignedHead, Timestamp
from store.said import FIRST, Linked, Said, entry_of, next_link, said_here
from store.sqlite.rows import many, one
from store.sqlite.writer import Database
from store.texts import json_of

_ENTRIES = """
SELECT l.tenant, l.n, l.kind, l.ref, l.at, l.body_digest, l.prev, l.hash,
  CASE l.kind WHEN 'decision' THEN d.body ELSE l.body END
FROM ledger l
LEFT JOIN decisions d
  ON l.kind = 'decision' AND d.tenant = l.tenant AND d.id = l.ref
"""


def chain(connection: Connection, tenant: str, entries: Iterable[Said]) -> None:
    """Append entries to the tenant's chain."""
    n, prev = _head(connection, tenant)
    rows = []
    for entry in entries:
        n, before = n + 1, prev
        prev = next_link(n, before, entry.digest)
        rows.append((tenant, n, *entry[:4], before, prev, entry.body))

    connection.executemany("INSERT INTO ledger VALUES (?,?,?,?,?,?,?,?,?)", rows)


def _head(connection: Connection, tenant: str) -> tuple[int, bytes]:
    # One probe of the tree's right edge; a number kept in memory would have to be
    # taken back whenever a transaction is.
    sql = "SELECT n, hash FROM ledger WHERE tenant = ? ORDER BY n DESC LIMIT 1"
    n, prev = one(connection, sql, (tenant,)) or (0, FIRST)
    return n, prev


def _chain_once(connection: Connection, tenant: str, entry: Said) -> None:
    sql = "SELECT 1 FROM ledger WHERE tenant = ? AND ref = ? AND body_digest = ?"
    if one(connection, sql, (tenant, entry.ref, entry.digest)) is None:
        chain(connection, tenant, [entry])


class SqliteLedger:
    """Ledger in tables ``ledger`` and ``ledger_heads``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        tenant: str,
        kind: Literal["policy", "freeze", "key", "definition", "outcome"],
        ref: str,
        body: JsonObject,
        at: Timestamp,
    ) -> None:
        """See Ledger."""
        entry = said_here(tenant, kind, ref, at, json_of(body))
        await self._database.write(lambda c: _chain_once(c, tenant, entry))

    async def chain(self, tenant: str, *, limit: int = 1_000) -> int:
        """See Ledger; here every entry is linked in the statement that says it."""
        return 0

    async def unchained(self, tenant: str) -> int:
        """See Ledger."""
        return 0

    async def page(
        self, tenant: str, *, limit: int, after: int = 0
    ) -> tuple[LedgerEntry, ...]:
        """See Ledger."""
        sql = _ENTRIES + "WHERE l.tenant = ? AND l.n > ? ORDER BY l.n LIMIT ?"
        return await self._entries(sql, tenant, after, limit)

    async def of(self, tenant: str, ref: str) -> tuple[LedgerEntry, ...]:
        """See Ledger."""
        sql = _ENTRIES + "WHERE l.tenant = ? AND l.ref = ? ORDER BY l.n"
        return await self._entries(sql, tenant, ref)

    async def head(self, tenant: str) -> LedgerEntry | None:
        """See Ledger."""
        sql = (
            "SELECT tenant, n, kind, ref, at, body_digest, prev, hash, NULL "
            "FROM ledger WHERE tenant = ? ORDER BY n DESC LIMIT 1"
        )
        found = await self._entries(sql, tenant)
        return found[0] if found else None

    async def keep_head(self, head: SignedHead) -> None:
        """See Ledger."""
        sql = (
            "INSERT INTO ledger_heads VALUES (?, ?, ?) ON CONFLICT (tenant) DO UPDATE "
            "SET n = excluded.n, body = excluded.body WHERE n < excluded.n"
        )
        row = (head.tenant, head.n, head.model_dump_json())
        await self._database.write(lambda c: c.execute(sql, row).rowcount)

    async def signed_head(self, tenant: str) -> SignedHead | None:
        """See Ledger."""
        sql = "SELECT body FROM ledger_heads WHERE tenant = ?"
        row = await self._database.read(lambda c: one(c, sql, (tenant,)))
        return None if row is None else SignedHead.model_validate_json(row[0])

    async def _entries(self, sql: str, *values: object) -> tuple[LedgerEntry, ...]:
        rows = await self._database.read(lambda c: many(c, sql, values))
        return tuple(entry_of(Linked(*row)) for row in rows)
