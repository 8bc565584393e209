"""Decisions: the immutable record as text, what changes and the approval beside it."""

from __future__ import annotations

from contracts import Approval, DecisionRecord, Outcome, Timestamp
from store.cursors import Span
from store.mongo.approvals import asked
from store.mongo.database import Database, Document, Listing, key
from store.mongo.listing import Source, part_of
from store.mongo.outbox import SINCE, settle, waiting
from store.protocol import Cursor, DecisionFilter, Page
from store.said import said_elsewhere, settlement
from store.texts import json_of, with_fields

_CHANGING = {"state", "outcome", "settled_at"}
_FIELDS = ("body", "state", "outcome", "settled_at")
_ALL = Source("decisions", "recorded_at", "id", _FIELDS)


def _document(record: DecisionRecord, approval: Approval | None) -> Document:
    decision, at = record.decision, record.recorded_at
    body = record.model_dump_json(exclude=_CHANGING)
    said = said_elsewhere("decision", decision.id, at, body)
    document = {
        "_id": key(record.tenant, decision.id),
        "tenant": record.tenant,
        "id": decision.id,
        "action": decision.action,
        "subject": decision.principal.subject,
        "correlation_id": record.correlation_id,
        "rules": list(record.rules),
        "recorded_at": at,
        "state": record.state,
        "settled_at": record.settled_at,
        "outcome": record.outcome and record.outcome.model_dump_json(),
        "body": body,
        "unchained": [waiting(said)],
        SINCE: at,
    }
    if decision.conversation_id is not None:
        document["conversation_id"] = decision.conversation_id

    return document if approval is None else {**document, "approval": asked(approval)}


def _record(document: Document) -> DecisionRecord:
    text = with_fields(
        document["body"],
        state=json_of(document["state"]),
        outcome=document["outcome"] or "null",
        settled_at=json_of(document["settled_at"]),
    )
    return DecisionRecord.model_validate_json(text)


class MongoDecisions:
    """Decisions in collection ``decisions``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self, record: DecisionRecord, approval: Approval | None = None
    ) -> DecisionRecord:
        """See Decisions."""
        if await self._database.insert("decisions", _document(record, approval)):
            return record

        before = await self.get(record.tenant, record.id)
        return record if before is None else before

    async def get(self, tenant: str, decision_id: str) -> DecisionRecord | None:
        """See Decisions."""
        id_ = key(tenant, decision_id)
        found = await self._database.by_id("decisions", id_, _FIELDS)
        return None if found is None else _record(found)

    async def page(
        self,
        tenant: str,
        where: DecisionFilter,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[DecisionRecord]:
        """See Decisions."""
        conditions = {
            "tenant": tenant,
            "rules": where.rule,
            "action": where.action,
            "state": where.state,
            "subject": where.subject,
            "correlation_id": where.correlation_id,
        }
        part = await part_of(self._database, _ALL, conditions, Span(limit, after))
        return Page(tuple(map(_record, part.documents)), part.next)

    async def settle(
        self, tenant: str, decision_id: str, outcome: Outcome, at: Timestamp
    ) -> Outcome:
        """See Decisions."""
        end = settlement(tenant, decision_id, outcome, at)
        return Outcome.model_validate_json(await settle(self._database, tenant, end))

    async def recent_actions(
        self, tenant: str, conversation_id: str, limit: int
    ) -> tuple[str, ...]:
        """See Decisions."""
        listing = Listing(
            {"tenant": tenant, "conversation_id": conversation_id},
            (("recorded_at", -1), ("id", -1)),
            limit,
            ("action",),
        )
        found = await self._database.many("decisions", listing)
        return tuple(each["action"] for each in found)

    async def unperformed(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """See Decisions."""
        return await self._oldest({"state": "approved"}, recorded_before, limit)

    async def untold(
        self, *, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        """See Decisions."""
        where = {"state": "expired", "settled_at": None}
        return await self._oldest(where, recorded_before, limit)

    async def _oldest(
        self, where: Document, recorded_before: Timestamp, limit: int
    ) -> tuple[DecisionRecord, ...]:
        which = {**where, "recorded_at": {"$lt": recorded_before}}
        listing = Listing(which, (("recorded_at", 1),), limit, _FIELDS)
        found = await self._database.many("decisions", listing)
        return tuple(map(_record, found))
