"""Documents of runs: what never changes as one text, what changes as fields.

``due`` says when an open run wants a worker: at once, when its lease or its wait is
over, or (absent) never. Every update computes it anew from the other fields.
``applied`` is the last event whose append has changed the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import ENDED, Outcome, RunRow
from store.mongo.database import Document, key
from store.mongo.listing import Source
from store.said import Settlement, settlement
from store.texts import json_of, with_fields

FIELDS = ("body", "state", "lease_owner", "lease_until", "wake_at")
"""What ``run_of`` reads."""

ALL = Source("runs", "created_at", "id", FIELDS)
"""Every run of a tenant."""

OPEN = ("queued", "running", "paused")
"""The statuses of runs that have not ended."""

AT_ONCE = ""
"""The ``due`` of a run that wants a worker now."""

GONE = "$$REMOVE"
"""The value that removes a field."""

_CHANGING = {"state", "lease", "wake_at"}
_ENDED = sorted(ENDED)
_DUE = {
    "$switch": {
        "branches": [
            {"case": {"$in": ["$status", _ENDED]}, "then": GONE},
            {"case": {"$gt": ["$lease_until", None]}, "then": "$lease_until"},
            {
                "case": {"$or": [{"$ne": ["$status", "paused"]}, "$unheard"]},
                "then": AT_ONCE,
            },
        ],
        "default": {"$ifNull": ["$wake_at", GONE]},
    }
}
_OPEN_KEY = {"$cond": [{"$in": ["$status", _ENDED]}, GONE, "$open_key"]}


def new_row(run: RunRow) -> Document:
    """A run as it is inserted."""
    optional = {
        "open_key": run.key,
        "batch_id": run.batch_id,
        "tags": sorted(set(run.tags)) or None,
        "lease_owner": run.lease and run.lease.owner,
        "lease_until": run.lease and run.lease.until,
        "wake_at": run.wake_at,
        "due": _due(run),
    }
    return {
        "_id": key(run.tenant, run.id),
        "tenant": run.tenant,
        "id": run.id,
        "workflow": run.workflow,
        "origin": run.origin.kind,
        "created_at": run.created_at,
        "status": run.state.status,
        "unheard": False,
        "arrivals": 0,
        "applied": 0,
        "state": run.state.model_dump_json(),
        "body": run.model_dump_json(exclude=_CHANGING),
        **{name: value for name, value in optional.items() if value is not None},
    }


def changing(fields: Mapping[str, Any]) -> list[Document]:
    """The stages of an update that sets fields; None removes one."""
    return [
        {"$set": {name: said_in_pipeline(value) for name, value in fields.items()}},
        {"$set": {"due": _DUE, "open_key": _OPEN_KEY}},
    ]


def run_of(document: Document) -> RunRow:
    """The run of this document."""
    until = document.get("lease_until")
    lease = until and {"owner": document["lease_owner"], "until": until}
    text = with_fields(
        document["body"],
        state=document["state"],
        lease=json_of(lease),
        wake_at=json_of(document.get("wake_at")),
    )
    return RunRow.model_validate_json(text)


def end_of(run: RunRow) -> Settlement | None:
    """How making this run ends its decision; None for a run of another index."""
    if run.index != "0":
        return None

    outcome = Outcome(
        decision_id=run.decision_id, state="succeeded", result={"run_id": run.id}
    )
    return settlement(run.tenant, run.decision_id, outcome, run.created_at)


def said_in_pipeline(value: object) -> object:
    """A value in a pipeline, where a text may mean a field; an expression as it is."""
    if value is None:
        return GONE

    return value if isinstance(value, dict) else {"$literal": value}


def _due(run: RunRow) -> str | None:
    if run.state.status in ENDED:
        return None

    if run.lease is not None:
        return run.lease.until

    return run.wake_at if run.state.status == "paused" else AT_ONCE
