"""The ledger: what was said is linked by ``chain``, and read from then on."""

from __future__ import annotations

from typing import Literal

from contracts import JsonObject, LedgerEntry, SignedHead, Timestamp
from store.mongo import chaining
from store.mongo.database import Database, Document, Listing, key
from store.mongo.outbox import SINCE, waiting
from store.mongo.schema import PRESENT
from store.said import Linked, entry_of, said_here
from store.texts import json_of

_WITHOUT_TEXT = ("tenant", "n", "kind", "ref", "at", "digest", "prev", "hash")


class MongoLedger:
    """Ledger in collections ``ledger``, ``ledger_unchained`` and ``ledger_heads``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        tenant: str,
        kind: Literal["policy", "freeze", "key", "definition", "outcome"],
        ref: str,
        body: JsonObject,
        at: Timestamp,
    ) -> None:
        """See Ledger."""
        said = said_here(tenant, kind, ref, at, json_of(body))
        id_ = chaining.linked_id(tenant, said)
        if await self._database.one("ledger", {"_id": id_}, ("_id",)) is None:
            entry = {"_id": id_, "tenant": tenant, "ref": ref, **waiting(said)}
            await self._database.insert("ledger_unchained", entry)

    async def chain(self, tenant: str, *, limit: int = 1_000) -> int:
        """See Ledger."""
        return await chaining.chain(self._database, tenant, limit)

    async def unchained(self, tenant: str) -> int:
        """See Ledger."""
        where, size = {"tenant": tenant, SINCE: PRESENT}, {"$size": "$unchained"}
        decided = await self._database.summed("decisions", where, size)
        others = await self._database.summed("ledger_unchained", {"tenant": tenant}, 1)
        return decided.get(None, 0) + others.get(None, 0)

    async def page(
        self, tenant: str, *, limit: int, after: int = 0
    ) -> tuple[LedgerEntry, ...]:
        """See Ledger."""
        where = {"tenant": tenant, "n": {"$gt": after}}
        return await self._entries(Listing(where, (("n", 1),), limit))

    async def of(self, tenant: str, ref: str) -> tuple[LedgerEntry, ...]:
        """See Ledger."""
        where = {"tenant": tenant, "ref": ref}
        return await self._entries(Listing(where, (("n", 1),)))

    async def head(self, tenant: str) -> LedgerEntry | None:
        """See Ledger."""
        listing = Listing({"tenant": tenant}, (("n", -1),), 1, _WITHOUT_TEXT)
        found = await self._database.many("ledger", listing)
        if not found:
            return None

        return entry_of(_linked({**found[0], "text": None}, None))

    async def keep_head(self, head: SignedHead) -> None:
        """See Ledger."""
        body = {"n": head.n, "body": head.model_dump_json()}
        # Where a greater one is kept, another of its id is there: nothing to do.
        await self._database.after(
            "ledger_heads",
            {"_id": key(head.tenant), "n": {"$lt": head.n}},
            {"$set": body},
            upsert=True,
        )

    async def signed_head(self, tenant: str) -> SignedHead | None:
        """See Ledger."""
        found = await self._database.one("ledger_heads", {"_id": key(tenant)})
        return None if found is None else SignedHead.model_validate_json(found["body"])

    async def _entries(self, listing: Listing) -> tuple[LedgerEntry, ...]:
        found = await self._database.many("ledger", listing)
        bodies = await self._bodies(found)
        return tuple(entry_of(_linked(each, bodies.get(each["ref"]))) for each in found)

    async def _bodies(self, found: list[Document]) -> dict[str, str]:
        """The bodies of the decisions that entries tell of, by id."""
        ids = [key(e["tenant"], e["ref"]) for e in found if e["kind"] == "decision"]
        if not ids:
            return {}

        listing = Listing({"_id": {"$in": ids}}, fields=("id", "body"))
        decisions = await self._database.many("decisions", listing)
        return {each["id"]: each["body"] for each in decisions}


def _linked(found: Document, body: str | None) -> Linked:
    text = body if found["kind"] == "decision" else found["text"]
    return Linked(
        found["tenant"],
        found["n"],
        found["kind"],
        found["ref"],
        found["at"],
        found["digest"],
        found["prev"],
        found["hash"],
        text,
    )
