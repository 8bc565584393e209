"""How decisions end, whoever ends them: one statement and one ledger entry."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import DecisionRecord
from store.caches import Recent
from store.said import Settlement
from store.sqlite.ledger import chain

RecentDecisions = Recent[tuple[str, str], DecisionRecord]
"""Records just written, by tenant and id; dropped by whatever changes their state."""


def settle(connection: Connection, tenant: str, end: Settlement) -> None:
    """Write how a decision ended, unless it had ended or was refused before."""
    changed = connection.execute(
        "UPDATE decisions SET state = ?, outcome = ?, settled_at = ? "
        "WHERE tenant = ? AND id = ? AND settled_at IS NULL "
        "AND state NOT IN ('refused', 'dry_run')",
        (end.state, end.outcome, end.at, tenant, end.decision_id),
    ).rowcount
    if changed:
        chain(connection, tenant, [end.said])
