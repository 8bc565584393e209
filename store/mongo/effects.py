"""Uses of verdicts outside runs, one document each."""

from __future__ import annotations

from contracts import EffectRow, Timestamp
from store.mongo.database import Database, Document, Listing, key
from store.mongo.outbox import settle
from store.said import settlement

_FIELDS = ("body",)


def _document(effect: EffectRow) -> Document:
    return {
        "_id": key(effect.tenant, effect.decision_id, effect.index),
        "state": effect.state,
        "claimed_at": effect.claimed_at,
        "body": effect.model_dump_json(),
    }


def _effect(document: Document) -> EffectRow:
    return EffectRow.model_validate_json(document["body"])


class MongoEffects:
    """Effects in collection ``effects``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def consume(self, row: EffectRow) -> tuple[EffectRow, bool]:
        """See Effects."""
        if await self._database.insert("effects", _document(row)):
            return row, True

        stored = await self.get(row.tenant, row.decision_id, row.index)
        if stored is None:
            return row, False

        return stored, stored.token != "" and stored.token == row.token

    async def finish(self, row: EffectRow) -> None:
        """See Effects."""
        finished = _document(row)
        claimed = {"_id": finished["_id"], "state": "claimed"}
        change = {"$set": {"state": row.state, "body": finished["body"]}}
        if await self._database.changed("effects", claimed, change):
            await self._settle(row)
            return

        # What finished it may have died before the decision was settled.
        stored = await self.get(row.tenant, row.decision_id, row.index)
        if stored is not None:
            await self._settle(stored)

    async def get(self, tenant: str, decision_id: str, index: str) -> EffectRow | None:
        """See Effects."""
        use = {"_id": key(tenant, decision_id, index)}
        found = await self._database.one("effects", use, _FIELDS)
        return None if found is None else _effect(found)

    async def unfinished(
        self, *, claimed_before: Timestamp, limit: int
    ) -> tuple[EffectRow, ...]:
        """See Effects."""
        listing = Listing(
            {"state": "claimed", "claimed_at": {"$lt": claimed_before}},
            (("claimed_at", 1),),
            limit,
            _FIELDS,
        )
        return tuple(map(_effect, await self._database.many("effects", listing)))

    async def _settle(self, row: EffectRow) -> None:
        if row.outcome is not None and row.finished_at is not None:
            end = settlement(row.tenant, row.decision_id, row.outcome, row.finished_at)
            await settle(self._database, row.tenant, end)
