"""The collections, as numbered steps; a step once released is never changed.

A document's ``_id`` is what it is unique by, composed by ``database.key``. A list has
an index that begins with the tenant; a sweep over all tenants has a partial index
over the few documents it can want. Bodies are JSON text; what changes, and what is
asked for, are fields of their own.
"""

from __future__ import annotations

from typing import Any

from pymongo import IndexModel

from store.mongo.migrations import Step

PRESENT: dict[str, str] = {"$gte": ""}
"""Of a text field: that it is there. Said in a query as in its partial index."""


COUNTED: dict[str, int] = {"$gt": 0}
"""Of a number that counts from 1: that it is there, in a query as in an index."""


def _index(name: str, *fields: str, unique: bool = False, **where: Any) -> IndexModel:
    """An index of these fields; ``where`` makes it partial, ``__`` stands for a dot."""
    keys = [(field, 1) for field in fields]
    if not where:
        return IndexModel(keys, name=name, unique=unique)

    partial = {field.replace("__", "."): value for field, value in where.items()}
    return IndexModel(keys, name=name, unique=unique, partialFilterExpression=partial)


_RECORDED = ("recorded_at", "id")
_ASKED = ("approval.asked_at", "approval.id")
_CREATED = ("created_at", "id")

_GATE = {
    "decisions": (
        _index("recorded", "tenant", *_RECORDED),
        _index("action", "tenant", "action", *_RECORDED),
        _index("state", "tenant", "state", *_RECORDED),
        _index("subject", "tenant", "subject", *_RECORDED),
        _index("correlation", "tenant", "correlation_id", *_RECORDED),
        _index("rule", "tenant", "rules", *_RECORDED),
        _index(
            "conversation",
            *("tenant", "conversation_id", *_RECORDED, "action"),
            conversation_id=PRESENT,
        ),
        _index("unperformed", "recorded_at", state="approved"),
        _index("unchained", "tenant", "unchained_since", unchained_since=PRESENT),
        _index("approval", "tenant", "approval.id", approval__id=PRESENT),
        _index("asked", "tenant", *_ASKED, approval__id=PRESENT),
        _index(
            "asked_state", "tenant", "approval.state", *_ASKED, approval__id=PRESENT
        ),
        _index(
            "asked_run",
            *("tenant", "approval.run_id"),
            approval__state="waiting",
            approval__run_id=PRESENT,
        ),
        _index("asked_until", "approval.expires_at", approval__state="waiting"),
    ),
    "effects": (_index("unfinished", "claimed_at", state="claimed"),),
    "ledger": (
        _index("place", "tenant", "n", unique=True),
        _index("ref", "tenant", "ref", "n"),
    ),
    "ledger_unchained": (_index("at", "tenant", "at"),),
    "ledger_heads": (),
}

_RUNS = {
    "runs": (
        _index("created", "tenant", *_CREATED),
        _index("workflow", "tenant", "workflow", *_CREATED),
        _index("status", "tenant", "status", *_CREATED),
        _index("origin", "tenant", "origin", *_CREATED),
        _index("batch", "tenant", "batch_id", *_CREATED, batch_id=PRESENT),
        _index("tag", "tenant", "tags", *_CREATED, tags=PRESENT),
        _index(
            "open_key",
            *("tenant", "workflow", "open_key"),
            unique=True,
            open_key=PRESENT,
        ),
        _index("due", "due", "created_at", due=PRESENT),
    ),
    "run_events": (_index("last", "tenant", "run_id", "last"),),
    "run_inbox": (_index("unhandled", "tenant", "run_id", "arrival", handled=False),),
}

_DEFINITIONS = {
    "definitions": (),
    "versions": (
        _index("version", "tenant", "kind", "name", "version", unique=True),
        _index("decision", "tenant", "kind", "name", "decision_id", unique=True),
    ),
    "heads": (
        _index("name", "tenant", "kind", "name", unique=True),
        _index("id", "tenant", "kind", "id"),
    ),
}

_DOORS = {
    "subjects": (),
    "keys": (_index("created", "tenant", *_CREATED),),
    "freeze": (_index("name", "tenant", "scope", "name"),),
    "policies": (),
    "usage": (),
    "budgets": (),
    "idempotency": (_index("expiry", "expires_at"),),
    "capabilities": (_index("seen", "seen_at"),),
    "leases": (),
}

_CONVERSATIONS = {
    "conversations": (
        _index("address", "tenant", "kind", "address", unique=True, address=PRESENT),
        _index("created", "tenant", *_CREATED),
        _index("subject", "tenant", "subject", *_CREATED),
        _index("due", "due", "created_at", due=PRESENT),
    ),
    "conversation_inbox": (
        _index("unhandled", "tenant", "conversation_id", "arrival", handled=False),
    ),
    "turn_appends": (
        _index("first", "tenant", "conversation_id", "first"),
        _index("last", "tenant", "conversation_id", "last"),
        _index(
            "first_n",
            *("tenant", "conversation_id", "first_n"),
            unique=True,
            first_n=COUNTED,
        ),
        _index("last_n", "tenant", "conversation_id", "last_n", last_n=COUNTED),
    ),
}

_DOOR_RECORDS = {
    "door_records": (
        _index("name", "tenant", "door", "kind", "name", unique=True),
        _index("open", "tenant", "door", "kind", "arrival", is_open=True),
        _index("expiry", "expires_at"),
    ),
    "door_arrivals": (),
}

_UNTOLD = {
    "decisions": (_index("untold", "recorded_at", state="expired", settled_at=None),),
}

STEPS = (
    Step(1, "what the gate remembers", _GATE),
    Step(2, "runs", _RUNS),
    Step(3, "definitions", _DEFINITIONS),
    Step(4, "what the doors need", _DOORS),
    Step(5, "conversations", _CONVERSATIONS),
    Step(6, "records of doors", _DOOR_RECORDS),
    Step(7, "expiries that nobody was told of", _UNTOLD),
)
"""How a database comes to these collections."""
