"""What the ledger hears waits in the document that changed, written with it."""

from __future__ import annotations

from collections.abc import Iterable

from store.mongo.database import Database, Document, key
from store.said import Said, Settlement

SINCE = "unchained_since"
"""The field that says a decision has something unchained."""

_NEVER_SETTLED = ("refused", "dry_run")


def waiting(said: Said) -> Document:
    """An entry as it waits."""
    entry = {"kind": said.kind, "at": said.at, "digest": said.digest}
    return entry if said.body is None else {**entry, "text": said.body}


def heard(ref: str, entry: Document) -> Said:
    """An entry that waited."""
    return Said(entry["kind"], ref, entry["at"], entry["digest"], entry.get("text"))


def saying(news: Iterable[Said]) -> Document:
    """The operators of an update that says this as well."""
    entries = [waiting(said) for said in news]
    since = min(entry["at"] for entry in entries)
    return {"$push": {"unchained": {"$each": entries}}, "$min": {SINCE: since}}


async def settle(database: Database, tenant: str, end: Settlement) -> str:
    """Write how a decision ended, unless it had ended or was refused before.

    How it ended, as text: so, or as it had before.
    """
    if await _is_settled(database, tenant, end):
        return end.outcome

    id_ = key(tenant, end.decision_id)
    now = await database.by_id("decisions", id_, ("outcome",))
    return end.outcome if now is None else str(now.get("outcome") or end.outcome)


async def _is_settled(database: Database, tenant: str, end: Settlement) -> bool:
    """Whether this surely ended it; False leaves that open."""
    return await database.update(
        "decisions",
        {
            "_id": key(tenant, end.decision_id),
            "settled_at": None,
            "state": {"$nin": _NEVER_SETTLED},
        },
        {
            "$set": {
                "state": end.state,
                "outcome": end.outcome,
                "settled_at": end.at,
            },
            **saying([end.said]),
        },
    )
