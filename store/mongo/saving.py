"""Saving and deleting a definition: the head decides, its version follows from it.

A process may die between any two writes. Whoever replaces a head, or removes it, first
sees to the version that the head is of, so none is lost and nobody waits for the dead.
"""

from __future__ import annotations

from contracts import Conflict, JsonObject, StoreUnavailable
from contracts.definitions import DefinitionKind, Head
from store.mongo.database import Database, Document, Listing, key
from store.texts import json_of

Name = tuple[str, DefinitionKind, str]
"""Tenant, kind and name of a definition."""

LIVE = {"gone": {"$exists": False}}
"""A head that was deleted stays, to count on from; it is seen by nobody."""

_TRIES = 10
_OF_A_VERSION = ("tenant", "kind", "name", "version", "digest", "text", "decision_id")


async def save(database: Database, head: Head, expected: int | None) -> Document:
    """Make it the head; the version that its decision saved, now or before.

    Raises Conflict, StoreUnavailable (``store_busy`` if others are always quicker).
    """
    name: Name = (head.tenant, head.kind, head.name)
    await keep(database, head.tenant, head.digest, head.body)
    for _ in range(_TRIES):
        current = await database.by_id("heads", key(*name))
        saved = await _saved_before(database, head, current)
        if saved is not None:
            return saved

        _refuse_unexpected(current, expected)
        saved = await _replace(database, head, current)
        if saved is not None:
            await _archive(database, saved)
            return saved

    raise StoreUnavailable(code="store_busy")


async def keep(database: Database, tenant: str, digest: str, body: JsonObject) -> None:
    """Put a body into the archive; again is harmless."""
    document = {"_id": key(tenant, digest), "digest": digest, "body": json_of(body)}
    await database.insert("definitions", document)


async def delete(database: Database, name: Name, expected: int | None) -> bool:
    """Remove the head; False if there is none.

    Raises Conflict, StoreUnavailable (``store_busy`` if others are always quicker).
    """
    for _ in range(_TRIES):
        live = _live(await database.by_id("heads", key(*name)))
        if live is None:
            return False

        if expected is not None:
            _refuse_unexpected(live, expected)

        await _archive(database, live)
        gone = {"$set": {"gone": True}, "$unset": {"id": "", "digest": "", "text": ""}}
        if await database.changed("heads", _unchanged(live), gone):
            return True

    raise StoreUnavailable(code="store_busy")


async def _saved_before(
    database: Database, head: Head, current: Document | None
) -> Document | None:
    """The version that this decision saved; its head may be all there is of it."""
    live = _live(current)
    if live is not None and live.get("decision_id") == head.decision_id:
        await _archive(database, live)
        return live

    by_us = {"tenant": head.tenant, "kind": head.kind, "name": head.name}
    return await database.one("versions", {**by_us, "decision_id": head.decision_id})


def _live(head: Document | None) -> Document | None:
    return None if head is None or "gone" in head else head


def _refuse_unexpected(current: Document | None, expected: int | None) -> None:
    live = _live(current)
    version = None if live is None else live["version"]
    if version != expected:
        code = "name_conflict" if expected is None else "version_conflict"
        raise Conflict(code=code, details={"current": version})


async def _replace(
    database: Database, head: Head, current: Document | None
) -> Document | None:
    """Put the head where this one is, or none; None if it is no longer so."""
    if current is None:
        saved = _numbered(head, await _last_version(database, head) + 1)
        document = {"_id": key(head.tenant, head.kind, head.name), "id": head.id}
        return saved if await database.insert("heads", document | saved) else None

    live = _live(current)
    if live is not None:
        await _archive(database, live)

    saved = _numbered(head, current["version"] + 1)
    change = {"$set": {"id": head.id, **saved}, "$unset": {"gone": ""}}
    done = await database.changed("heads", _unchanged(current), change)
    return saved if done else None


def _numbered(head: Head, version: int) -> Document:
    numbered = head.model_copy(update={"version": version})
    return {
        "tenant": head.tenant,
        "kind": head.kind,
        "name": head.name,
        "version": version,
        "digest": head.digest,
        "text": numbered.model_dump_json(exclude={"body"}),
        "decision_id": head.decision_id,
    }


def _unchanged(current: Document) -> Document:
    """The head as it was read: each save counts on, and a deletion says so."""
    which = {"_id": current["_id"], "version": current["version"]}
    return which | ({"gone": True} if "gone" in current else LIVE)


async def _archive(database: Database, head: Document) -> None:
    """See to it that a head's version is kept; again is harmless.

    A head without a decision is of an earlier release, which kept both at once.
    """
    if "decision_id" not in head:
        return

    version = {name: head[name] for name in _OF_A_VERSION}
    parts = (head["tenant"], head["kind"], head["name"], f"{head['version']:012d}")
    await database.insert("versions", {"_id": key(*parts), **version})


async def _last_version(database: Database, head: Head) -> int:
    """The last number of a name without a head: deleted by an earlier release."""
    which = {"tenant": head.tenant, "kind": head.kind, "name": head.name}
    listing = Listing(which, (("version", -1),), 1, ("version",))
    found = await database.many("versions", listing)
    return int(found[0]["version"]) if found else 0
