"""Approvals: each stands in its decision's document and changes together with it."""

from __future__ import annotations

from typing import Any

from contracts import Approval, Timestamp
from store.cursors import Span
from store.mongo.database import Database, Document, Listing, Sort, key
from store.mongo.listing import Source, part_of
from store.mongo.outbox import SINCE, waiting
from store.mongo.schema import PRESENT
from store.protocol import Cursor, Page
from store.said import AFTER_ASKING, said_of_change

_FIELDS = ("approval.body",)
_ALL = Source("decisions", "approval.asked_at", "approval.id", _FIELDS)


def asked(approval: Approval) -> Document:
    """An approval as it stands in its decision's document."""
    document = {
        "id": approval.id,
        "node_id": approval.node_id,
        "state": approval.state,
        "revision": approval.revision,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "body": approval.model_dump_json(),
    }
    if approval.run_id is not None:
        document["run_id"] = approval.run_id

    return document


def _change(before: Approval, after: Approval) -> list[Document]:
    """The stages that change an approval, its decision's state and what is said."""
    news = [waiting(said) for said in said_of_change(before, after)]
    said: dict[str, Any] = {
        "unchained": {"$concatArrays": ["$unchained", {"$literal": news}]},
        SINCE: {"$min": [f"${SINCE}", *(entry["at"] for entry in news)]},
    }
    state = AFTER_ASKING[after.state]
    return [
        {
            "$set": {
                "approval.state": after.state,
                "approval.revision": after.revision,
                "approval.expires_at": after.expires_at,
                "approval.body": {"$literal": after.model_dump_json()},
                "state": {"$cond": ["$settled_at", "$state", state]},
                **(said if news else {}),
            }
        }
    ]


def _approval(document: Document) -> Approval:
    return Approval.model_validate_json(document["approval"]["body"])


class MongoApprovals:
    """Approvals in collection ``decisions``, field ``approval``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: str, approval_id: str) -> Approval | None:
        """See Approvals."""
        return await self._one({"tenant": tenant, "approval.id": approval_id})

    async def of_decision(self, tenant: str, decision_id: str) -> Approval | None:
        """See Approvals."""
        which = {"_id": key(tenant, decision_id), "approval.id": PRESENT}
        return await self._one(which)

    async def change(self, approval: Approval, *, from_revision: int) -> bool:
        """See Approvals."""
        which = {
            "_id": key(approval.tenant, approval.decision_id),
            "approval.id": approval.id,
        }
        before = await self._one(which)
        if before is None or (before.revision, before.state) != (
            from_revision,
            "waiting",
        ):
            return before == approval  # our own write come back

        as_it_was = {"approval.revision": from_revision, "approval.state": "waiting"}
        change = _change(before, approval)
        if await self._database.changed("decisions", {**which, **as_it_was}, change):
            return True

        return await self._one(which) == approval

    async def page(
        self,
        tenant: str,
        *,
        state: str | None,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Approval]:
        """See Approvals."""
        where = {"tenant": tenant, "approval.state": state, "approval.id": PRESENT}
        part = await part_of(self._database, _ALL, where, Span(limit, after))
        return Page(tuple(map(_approval, part.documents)), part.next)

    async def due(self, now: Timestamp, *, limit: int) -> tuple[Approval, ...]:
        """See Approvals."""
        where = {"approval.state": "waiting", "approval.expires_at": {"$lte": now}}
        return await self._many(where, (("approval.expires_at", 1),), limit)

    async def of_run(
        self, tenant: str, run_id: str, *, node_id: str | None = None
    ) -> tuple[Approval, ...]:
        """See Approvals."""
        where = {
            "tenant": tenant,
            "approval.run_id": run_id,
            "approval.state": "waiting",
        }
        if node_id is not None:
            where["approval.node_id"] = node_id

        return await self._many(where, (("recorded_at", 1), ("id", 1)))

    async def _one(self, where: Document) -> Approval | None:
        found = await self._database.one("decisions", where, _FIELDS)
        return None if found is None else _approval(found)

    async def _many(
        self, where: Document, sort: Sort, limit: int = 0
    ) -> tuple[Approval, ...]:
        listing = Listing(where, sort, limit, _FIELDS)
        return tuple(map(_approval, await self._database.many("decisions", listing)))
