"""How decisions end, whoever ends them: one statement and one ledger entry."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import DecisionRecord
from store.caches import Recent
from store.said import Settlement
from store.sqlite.ledger import chain
from store.sqlite.rows import one

RecentDecisions = Recent[tuple[str, str], DecisionRecord]
"""Records just written, by tenant and id; dropped by whatever changes their state."""


def settle(connection: Connection, tenant: str, end: Settlement) -> bool:
    """Write how a decision ended, unless it had ended or was refused before."""
    changed = connection.execute(
        "UPDATE decisions SET state = ?, outcome = ?, settled_at = ? "
        "WHERE tenant = ? AND id = ? AND settled_at IS NULL "
        "AND state NOT IN ('refused', 'dry_run')",
        (end.state, end.outcome, end.at, tenant, end.decision_id),
    ).rowcount
    if changed:
        chain(connection, tenant, [end.said])

    return bool(changed)


def ending(connection: Connection, tenant: str, end: Settlement) -> str:
    """How the decision ended, as text; as ``end`` says if it did not end yet."""
    sql = "SELECT outcome FROM decisions WHERE tenant = ? AND id = ?"
    row = one(connection, sql, (tenant, end.decision_id))
    return end.outcome if row is None or row[0] is None else str(row[0])
