"""How many rows each collection holds, under the names every store uses."""

from __future__ import annotations

from store.mongo.database import Database, Document
from store.mongo.outbox import SINCE
from store.mongo.saving import LIVE
from store.mongo.schema import PRESENT

_PLAIN = (
    "decisions",
    "effects",
    "runs",
    "run_inbox",
    "conversations",
    "conversation_inbox",
    "definitions",
    "keys",
    "subjects",
    "freeze",
    "policies",
    "usage",
    "budgets",
    "idempotency",
    "door_records",
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
    first, *others = [_counting(name, name) for name in _PLAIN] + _SPECIAL
    stages = [*first[1], *({"$unionWith": _union(*each)} for each in others)]
    documents = await database.aggregated(first[0], stages)
    found = {each["_id"]: each["n"] for each in documents}
    counts = {name: found.get(name, 0) for name in (*_PLAIN, *_INSIDE)}
    counts["ledger"] = sum(found.get(each, 0) for each in _LEDGER)
    return counts | {name: found.get(kind, 0) for kind, name in _HEADS.items()}


def _counting(
    collection: str, name: str, where: Document | None = None, what: object = 1
) -> tuple[str, list[Document]]:
    """The stages that count in a collection, and call it so."""
    group = {"_id": name, "n": {"$sum": what}}
    return collection, [{"$match": where or {}}, {"$group": group}]


def _union(collection: str, stages: list[Document]) -> Document:
    return {"coll": collection, "pipeline": stages}


_INSIDE = ("approvals", "run_events", "turn_events", "chat_history")
"""What stands within documents of something else."""

_LEDGER = ("linked", "said of decisions", "said of others")
_SPECIAL = [
    _counting("decisions", "approvals", {"approval.id": PRESENT}),
    _counting("run_events", "run_events", what={"$size": "$events"}),
    _counting("turn_appends", "turn_events", what={"$size": "$events"}),
    _counting("turn_appends", "chat_history", what={"$size": "$messages"}),
    _counting("heads", "$kind", LIVE),
    _counting("ledger", _LEDGER[0]),
    _counting("decisions", _LEDGER[1], {SINCE: PRESENT}, {"$size": "$unchained"}),
    _counting("ledger_unchained", _LEDGER[2]),
]
