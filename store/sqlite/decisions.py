"""Decisions: the immutable record as text, what changes as columns."""

from __future__ import annotations

from sqlite3 import Connection
from typing import NamedTuple

from contracts import Approval, DecisionRecord, Outcome, Timestamp
from store.caches import SMALL_CHARS
from store.cursors import Span
from store.protocol import Cursor, DecisionFilter, Page
from store.said import Said, Settlement, said_elsewhere, settlement
from store.sqlite import approvals
from store.sqlite.ledger import chain
from store.sqlite.listing import Source, part_of
from store.sqlite.rows import Row, many, one
from store.sqlite.settlements import RecentDecisions, ending, settle
from store.sqlite.writer import Database
from store.texts import json_of, with_fields

_CHANGING = {"state", "outcome", "settled_at"}
_COLUMNS = "body, state, outcome, settled_at"
_ALL = Source("recorded_at", "id", _COLUMNS, "decisions")
_BY_RULE = Source(
    "r.recorded_at",
    "r.decision_id",
    "d.body, d.state, d.outcome, d.settled_at",
    "decision_rules r CROSS JOIN decisions d "
    "ON d.tenant = r.tenant AND d.id = r.decision_id",
)


class _Record(NamedTuple):
    """A record as it is written."""

    row: Row
    rules: list[Row]
    approval: Row | None
    said: Said


def _prepared(record: DecisionRecord, approval: Approval | None) -> _Record:
    decision, at = record.decision, record.recorded_at
    body = record.model_dump_json(exclude=_CHANGING)
    outcome = record.outcome and record.outcome.model_dump_json()
    return _Record(
        (
            record.tenant,
            decision.id,
            decision.action,
            decision.principal.subject,
            record.correlation_id,
            decision.conversation_id,
            at,
            record.state,
            record.settled_at,
            outcome,
            body,
        ),
        [(record.tenant, rule, at, decision.id) for rule in set(record.rules)],
        None if approval is None else approvals.row_of(approval),
        said_elsewhere("decision", decision.id, at, body),
    )


def _insert(connection: Connection, record: _Record) -> Row | None:
    """Write a record; the row that was there before, if one was."""
    written = connection.execute(
        "INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        record.row,
    ).rowcount
    tenant, decision_id = record.row[:2]
    if not written:
        return _select(connection, tenant, decision_id)

    connection.executemany("INSERT INTO decision_rules VALUES (?,?,?,?)", record.rules)
    if record.approval is not None:
        approvals.insert(connection, record.approval)

    chain(connection, tenant, [record.said])
    return None


def _settled(connection: Connection, tenant: str, end: Settlement) -> str:
    settle(connection, tenant, end)
    return ending(connection, tenant, end)


def _select(connection: Connection, tenant: str, decision_id: str) -> Row | None:
    sql = f"SELECT {_COLUMNS} FROM decisions WHERE tenant = ? AND id = ?"
    return one(connection, sql, (tenant, decision_id))


def _record(row: Row) -> DecisionRecord:
    body, state, outcome, settled_at = row
    text = with_fields(
        body,
        state=json_of(state),
        outcome=outcome or "null",
        settled_at=json_of(settled_at),
    )
    return DecisionRecord.model_validate_json(text)


class SqliteDecisions:
    """Decisions in tables ``decisions`` and ``decision_rules``."""

    def __init__(self, database: Database, recent: RecentDecisions) -> None:
        self._database = database
        self._recent = recent

    async def record(
        self, record: DecisionRecord, approval: Approval | None = None
    ) -> DecisionRecord:
        """See Decisions."""
        prepared = _prepared(record, approval)
        before = await self._database.write(lambda c: _insert(c, prepared))
        if before is not None:
            return _record(before)

        if len(prepared.row[-1]) <= SMALL_CHARS:
            self._recent.put((record.tenant, record.id), record)

        return record

    async def get(self, tenant: str, decision_id: str) -> DecisionRecord | None:
        """See Decisions."""
        recent = self._recent.get((tenant, decision_id))
        if recent is not None:
            return recent

        row = await self._database.read(lambda c: _select(c, tenant, decision_id))
        return None if row is None else _record(row)

    async def page(
        self,
        tenant: str,
        where: DecisionFilter,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[DecisionRecord]:
        """See Decisions."""
        source = _ALL if where.rule is None else _BY_RULE
        conditions = {
            "tenant = ?" if where.rule is None else "r.tenant = ?": tenant,
            "r.rule = ?": where.rule,
            "action = ?": where.action,
            "state = ?": where.state,
            "subject = ?": where.subject,
            "correlation_id = ?": where.correlation_id,
        }
        span = Span(limit, after)
        part = await self._database.read(lambda c: part_of(c, source, conditions, span))
        return Page(tuple(map(_record, part.rows)), part.next)

    async def settle(
        self, tenant: str, decision_id: str, outcome: Outcome, at: Timestamp
    ) -> Outcome:
        """See Decisions."""
        end = settlement(tenant, decision_id, outcome, at)
        try:
            stays = await self._database.write(lambda c: _settled(c, tenant, end))
        finally:
            self._recent.drop((tenant, decision_id))

        return Outcome.model_validate_json(stays)

    async def recent_actions(
        self, tenant: str, conversation_id: str, limit: int
    ) -> tuple[str, ...]:
        """See Decisions."""
        sql = (
            "SELECT action FROM decisions WHERE tenant = ? AND conversation_id = ? "
            "ORDER BY recorded_at DESC, id DESC LIMIT ?"
        )
        values = (tenant, conversation_id, limit)
        rows = await self._database.read(lambda c: many(c, sql, values))
        return tuple(action for (action,) in rows)

    async def unperformed(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """See Decisions."""
        return await self._oldest("state = 'approved'", recorded_before, limit)

    async def untold(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """See Decisions."""
        where = "state = 'expired' AND settled_at IS NULL"
        return await self._oldest(where, recorded_before, limit)

    async def _oldest(
        self, where: str, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        sql = (
            f"SELECT {_COLUMNS} FROM decisions "
            f"WHERE {where} AND recorded_at < ? ORDER BY recorded_at LIMIT ?"
        )
        values = (recorded_before, limit)
        rows = await self._database.read(lambda c: many(c, sql, values))
        return tuple(map(_record, rows))
