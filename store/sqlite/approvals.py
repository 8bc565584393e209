"""Approvals: one document each, replaced by compare-and-set on its revision."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import Approval, Timestamp
from store.cursors import Span
from store.protocol import Cursor, Page
from store.said import AFTER_ASKING, said_of_change
from store.sqlite.ledger import chain
from store.sqlite.listing import Source, part_of
from store.sqlite.rows import Row, many, one
from store.sqlite.settlements import RecentDecisions
from store.sqlite.writer import Database

_ALL = Source("asked_at", "id", "body", "approvals")


def row_of(approval: Approval) -> Row:
    """An approval as it is written."""
    return (
        approval.tenant,
        approval.id,
        approval.decision_id,
        approval.run_id,
        approval.node_id,
        approval.state,
        approval.revision,
        approval.asked_at,
        approval.expires_at,
        approval.model_dump_json(),
    )


def insert(connection: Connection, row: Row) -> None:
    """Open an approval; one of its id that is there stays."""
    connection.execute(
        "INSERT INTO approvals VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING", row
    )


def _change(connection: Connection, approval: Approval, from_revision: int) -> bool:
    before = _one(connection, "id", approval.tenant, approval.id)
    if before is None or (before.revision, before.state) != (from_revision, "waiting"):
        return before == approval  # our own write come back

    connection.execute(
        "UPDATE approvals SET state = ?, revision = ?, expires_at = ?, body = ? "
        "WHERE tenant = ? AND id = ?",
        (
            approval.state,
            approval.revision,
            approval.expires_at,
            approval.model_dump_json(),
            approval.tenant,
            approval.id,
        ),
    )
    connection.execute(
        "UPDATE decisions SET state = ? "
        "WHERE tenant = ? AND id = ? AND settled_at IS NULL",
        (AFTER_ASKING[approval.state], approval.tenant, approval.decision_id),
    )
    chain(connection, approval.tenant, said_of_change(before, approval))
    return True


def _one(
    connection: Connection, column: str, tenant: str, value: str
) -> Approval | None:
    sql = f"SELECT body FROM approvals WHERE tenant = ? AND {column} = ?"
    row = one(connection, sql, (tenant, value))
    return None if row is None else _approval(row)


def _approval(row: Row) -> Approval:
    return Approval.model_validate_json(row[0])


class SqliteApprovals:
    """Approvals in table ``approvals``."""

    def __init__(self, database: Database, recent: RecentDecisions) -> None:
        self._database = database
        self._recent = recent

    async def get(self, tenant: str, approval_id: str) -> Approval | None:
        """See Approvals."""
        return await self._database.read(lambda c: _one(c, "id", tenant, approval_id))

    async def of_decision(self, tenant: str, decision_id: str) -> Approval | None:
        """See Approvals."""
        return await self._database.read(
            lambda c: _one(c, "decision_id", tenant, decision_id)
        )

    async def change(self, approval: Approval, *, from_revision: int) -> bool:
        """See Approvals."""
        try:
            return await self._database.write(
                lambda c: _change(c, approval, from_revision)
            )
        finally:
            self._recent.drop((approval.tenant, approval.decision_id))

    async def page(
        self,
        tenant: str,
        *,
        state: str | None,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Approval]:
        """See Approvals."""
        where = {"tenant = ?": tenant, "state = ?": state}
        span = Span(limit, after)
        part = await self._database.read(lambda c: part_of(c, _ALL, where, span))
        return Page(tuple(map(_approval, part.rows)), part.next)

    async def due(self, now: Timestamp, *, limit: int) -> tuple[Approval, ...]:
        """See Approvals."""
        return await self._select(
            "state = 'waiting' AND expires_at <= ? ORDER BY expires_at LIMIT ?",
            now,
            limit,
        )

    async def of_run(
        self, tenant: str, run_id: str, *, node_id: str | None = None
    ) -> tuple[Approval, ...]:
        """See Approvals."""
        return await self._select(
            "tenant = ? AND run_id = ? AND state = 'waiting' "
            "AND node_id IS coalesce(?, node_id) ORDER BY rowid",
            tenant,
            run_id,
            node_id,
        )

    async def _select(self, where: str, *values: object) -> tuple[Approval, ...]:
        sql = f"SELECT body FROM approvals WHERE {where}"
        rows = await self._database.read(lambda c: many(c, sql, values))
        return tuple(map(_approval, rows))
