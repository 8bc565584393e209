"""Linking what was said into a tenant's chain, beside others who do the same.

An entry waits in its outbox until it is linked, and is removed only afterwards; one
that was linked before is recognised by its ``_id``. Of two that link at once, the
unique place ``(tenant, n)`` lets one through, and the other begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from contracts import StoreUnavailable
from store.mongo.database import Database, Document, Listing, key
from store.mongo.outbox import SINCE, heard
from store.mongo.schema import PRESENT
from store.mongo.words import in_our_words, unavailable, whole
from store.said import FIRST, Said, next_link

_TRIES = 100
_DUPLICATE = 11_000


class _Waiting(NamedTuple):
    """An entry that waits, and in which document of which collection."""

    since: str
    collection: str
    where: str
    id: str
    said: Said


def linked_id(tenant: str, said: Said) -> str:
    """What an entry of a chain is unique by."""
    return key(tenant, said.ref, said.kind, said.digest.hex())


async def chain(database: Database, tenant: str, limit: int) -> int:
    """Link at most so many entries; how many it were. Raises StoreUnavailable."""
    linked = 0
    entries = await _unchained(database, tenant, limit)
    for _ in range(_TRIES):
        fresh = await _fresh(database, entries)
        count, all_linked = await _link(database, tenant, fresh)
        linked += count
        if all_linked:
            await _forget(database, entries)
            return linked

    raise StoreUnavailable(code="store_busy")


async def _unchained(database: Database, tenant: str, limit: int) -> list[_Waiting]:
    """What waits, oldest document first, each document's entries in their order."""
    decisions = await database.many(
        "decisions",
        Listing(
            {"tenant": tenant, SINCE: PRESENT},
            ((SINCE, 1),),
            limit,
            ("id", SINCE, "unchained"),
        ),
    )
    others = await database.many(
        "ledger_unchained", Listing({"tenant": tenant}, (("at", 1),), limit)
    )
    decisions.sort(key=lambda found: (found[SINCE], found["id"]))
    waiting = merge(
        (each for found in decisions for each in _of_decision(tenant, found)),
        map(_of_another, others),
        key=lambda each: each.since,
    )
    return list(waiting)[:limit]


def _of_decision(tenant: str, found: Document) -> Iterable[_Waiting]:
    for entry in found["unchained"]:
        said = heard(found["id"], entry)
        id_ = linked_id(tenant, said)
        yield _Waiting(found[SINCE], "decisions", found["_id"], id_, said)


def _of_another(found: Document) -> _Waiting:
    said = heard(found["ref"], found)
    return _Waiting(found["at"], "ledger_unchained", found["_id"], found["_id"], said)


async def _fresh(database: Database, entries: Sequence[_Waiting]) -> list[_Waiting]:
    """Those that are not in the chain yet, as the primary sees it at this moment."""
    which = {"_id": {"$in": [entry.id for entry in entries]}}
    now = database.collection("ledger").with_options(read_concern=ReadConcern("local"))
    found = await database.read(now.find(which, ("_id",)).to_list())
    linked = {each["_id"] for each in found}
    return [entry for entry in entries if entry.id not in linked]


async def _link(
    database: Database, tenant: str, fresh: Sequence[_Waiting]
) -> tuple[int, bool]:
    """Link a beginning of these; how many, and whether all are linked."""
    if not fresh:
        return 0, True

    n, prev = await _head(database, tenant)
    documents = []
    for entry in fresh:
        n += 1
        documents.append(_document(tenant, n, prev, entry))
        prev = documents[-1]["hash"]

    with in_our_words():
        try:
            await whole(database.collection("ledger").insert_many(documents))
        except BulkWriteError as error:
            return _linked_before(error), False

    return len(documents), True


def _linked_before(error: BulkWriteError) -> int:
    """How many were linked before somebody else was quicker."""
    errors = error.details["writeErrors"]
    if error.details["writeConcernErrors"] or errors[0]["code"] != _DUPLICATE:
        raise unavailable(error)

    return int(errors[0]["index"])


async def _head(database: Database, tenant: str) -> tuple[int, bytes]:
    # Local: what we put after it becomes durable only together with it.
    now = database.collection("ledger").with_options(read_concern=ReadConcern("local"))
    found = await database.read(
        now.find_one({"tenant": tenant}, ("n", "hash"), sort=(("n", -1),))
    )
    return (0, FIRST) if found is None else (found["n"], found["hash"])


def _document(tenant: str, n: int, prev: bytes, entry: _Waiting) -> Document:
    said = entry.said
    return {
        "_id": entry.id,
        "tenant": tenant,
        "n": n,
        "kind": said.kind,
        "ref": said.ref,
        "at": said.at,
        "digest": said.digest,
        "prev": prev,
        "hash": next_link(n, prev, said.digest),
        "text": said.body,
    }


async def _forget(database: Database, entries: Sequence[_Waiting]) -> None:
    """Remove entries that are linked from where they waited."""
    others = [e.where for e in entries if e.collection == "ledger_unchained"]
    if others:
        await database.delete("ledger_unchained", {"_id": {"$in": others}})

    decided = (entry for entry in entries if entry.collection == "decisions")
    linked = {
        where: _without([entry.said.digest for entry in group])
        for where, group in groupby(decided, key=lambda entry: entry.where)
    }
    await database.update_each("decisions", linked)


def _without(digests: list[bytes]) -> list[Document]:
    """The stages that leave only what was said since."""
    kept = {"$not": {"$in": ["$$this.digest", digests]}}
    return [
        {"$set": {"unchained": {"$filter": {"input": "$unchained", "cond": kept}}}},
        {
            "$set": {
                SINCE: {
                    "$cond": [
                        {"$eq": ["$unchained", []]},
                        "$$REMOVE",
                        {"$min": "$unchained.at"},
                    ]
                }
            }
        },
    ]
