"""How many rows each collection holds, under the names every store uses."""

from __future__ import annotations

from store.mongo.database import Database, Document
from store.mongo.ledger import unchained
from store.mongo.schema import PRESENT

_PLAIN = (
    "decisions",
    "effects",
    "runs",
    "run_inbox",
    "definitions",
    "keys",
    "subjects",
    "freeze",
    "policies",
    "usage",
    "budgets",
    "idempotency",
    "capabilities",
    "leases",
    "meta",
)
_HEADS = {
    "tool": "tools",
    "stage": "stages",
    "node": "nodes",
    "workflow": "workflows",
    "flow": "flows",
    "knowledge": "knowledge",
}


async def counts_of(database: Database) -> dict[str, int]:
    """How many rows there are; events and what waits for the ledger one by one."""
    counts = {name: await _count(database, name, {}) for name in _PLAIN}
    counts["approvals"] = await _count(database, "decisions", {"approval.id": PRESENT})
    linked = await _count(database, "ledger", {})
    counts["ledger"] = linked + await unchained(database, {})
    events = await database.summed("run_events", {}, {"$size": "$events"})
    counts["run_events"] = events.get(None, 0)
    heads = await database.summed("heads", {}, 1, "$kind")
    return counts | {name: heads.get(kind, 0) for kind, name in _HEADS.items()}


async def _count(database: Database, name: str, where: Document) -> int:
    return (await database.summed(name, where, 1)).get(None, 0)
