"""How decisions end, whoever ends them: one statement and one ledger entry."""

from __future__ import annotations

from sqlite3 import Connection
from typing import NamedTuple

from contracts import DecisionRecord, DecisionState, Outcome, Timestamp
from store.sqlite.caches import Recent
from store.sqlite.ledger import Said, chain, said_here

RecentDecisions = Recent[tuple[str, str], DecisionRecord]
"""Records just written, by tenant and id; dropped by whatever changes their state."""

_STATES: dict[str, DecisionState] = {
    "succeeded": "done",
    "failed": "failed",
    "unknown": "unknown",
    "expired": "expired",
}


class Settlement(NamedTuple):
    """The end of a decision as it is written."""

    decision_id: str
    state: DecisionState
    outcome: str
    at: Timestamp
    said: Said


def settlement(
    tenant: str, decision_id: str, outcome: Outcome, at: Timestamp
) -> Settlement:
    """What is written when a decision ends so."""
    text = outcome.model_dump_json()
    said = said_here(tenant, "outcome", decision_id, at, text)
    return Settlement(decision_id, _STATES[outcome.state], text, at, said)


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
