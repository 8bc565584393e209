"""Uses of verdicts outside runs, one row each."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import EffectRow, Timestamp
from store.said import Settlement, settlement
from store.sqlite.rows import Row, many, one
from store.sqlite.settlements import RecentDecisions, settle
from store.sqlite.writer import Database

_USE = "tenant = ? AND decision_id = ? AND idx = ?"
_SELECT = f"SELECT body FROM effects WHERE {_USE}"


def _consume(connection: Connection, row: Row) -> Row | None:
    """Write a claim; the row that was there before, if one was."""
    sql = "INSERT INTO effects VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING"
    claimed = connection.execute(sql, row).rowcount
    return None if claimed else one(connection, _SELECT, row[:3])


def _finish(connection: Connection, row: Row, end: Settlement | None) -> None:
    *key, state, _, body = row
    finished = connection.execute(
        f"UPDATE effects SET state = ?, body = ? WHERE {_USE} AND state = 'claimed'",
        (state, body, *key),
    ).rowcount
    if finished and end is not None:
        settle(connection, key[0], end)


def _row(effect: EffectRow) -> Row:
    return (
        effect.tenant,
        effect.decision_id,
        effect.index,
        effect.state,
        effect.claimed_at,
        effect.model_dump_json(),
    )


def _end(effect: EffectRow) -> Settlement | None:
    outcome, at = effect.outcome, effect.finished_at
    if outcome is None or at is None:
        return None

    return settlement(effect.tenant, effect.decision_id, outcome, at)


class SqliteEffects:
    """Effects in table ``effects``."""

    def __init__(self, database: Database, recent: RecentDecisions) -> None:
        self._database = database
        self._recent = recent

    async def consume(self, row: EffectRow) -> tuple[EffectRow, bool]:
        """See Effects."""
        claim = _row(row)
        before = await self._database.write(lambda c: _consume(c, claim))
        if before is None:
            return row, True

        stored = EffectRow.model_validate_json(before[0])
        return stored, stored.token != "" and stored.token == row.token

    async def finish(self, row: EffectRow) -> None:
        """See Effects."""
        finished, end = _row(row), _end(row)
        try:
            await self._database.write(lambda c: _finish(c, finished, end))
        finally:
            self._recent.drop((row.tenant, row.decision_id))

    async def get(self, tenant: str, decision_id: str, index: str) -> EffectRow | None:
        """See Effects."""
        use = (tenant, decision_id, index)
        row = await self._database.read(lambda c: one(c, _SELECT, use))
        return None if row is None else EffectRow.model_validate_json(row[0])

    async def unfinished(
        self, *, claimed_before: Timestamp, limit: int
    ) -> tuple[EffectRow, ...]:
        """See Effects."""
        sql = (
            "SELECT body FROM effects "
            "WHERE state = 'claimed' AND claimed_at < ? ORDER BY claimed_at LIMIT ?"
        )
        values = (claimed_before, limit)
        rows = await self._database.read(lambda c: many(c, sql, values))
        return tuple(EffectRow.model_validate_json(body) for (body,) in rows)
