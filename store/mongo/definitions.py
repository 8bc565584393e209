"""Definitions: heads, versions, and bodies by digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession as Session

from contracts import Conflict, JsonObject, SluicegateError, Timestamp
from contracts.definitions import DefinitionKind, Head
from store.caches import SMALL_CHARS, Recent
from store.cursors import version_before
from store.mongo.database import Database, Document, Listing, key
from store.protocol import Cursor, Page
from store.texts import json_of, object_of, with_fields

Name = tuple[str, DefinitionKind, str]
"""Tenant, kind and name of a definition."""

_TEXTS = 256
"""Bodies kept in memory; a digest names one body for ever."""


class MongoDefinitions:
    """Definitions in collections ``heads``, ``versions`` and ``definitions``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: Recent[tuple[str, str], str] = Recent(_TEXTS)
        self._bodies: Recent[tuple[str, str], JsonObject] = Recent(_TEXTS)

    async def save(self, head: Head, *, expected_version: int | None) -> Head:
        """See Definitions."""
        saving = _Saving(self._database, head, expected_version)
        # Else the driver begins a transaction again for two minutes.
        with pymongo.timeout(self._database.mongo.client.options.timeout):
            saved = await self._database.together(saving.work)

        if isinstance(saved, SluicegateError):
            raise saved

        return (await self._heads([saved]))[0]

    async def head(self, tenant: str, kind: DefinitionKind, name: str) -> Head | None:
        """See Definitions."""
        found = await self._database.by_id("heads", key(tenant, kind, name))
        if found is None:
            by_id = {"tenant": tenant, "kind": kind, "id": name}
            found = await self._database.one("heads", by_id)

        return None if found is None else (await self._heads([found]))[0]

    async def version(
        self, tenant: str, kind: DefinitionKind, name: str, version: int
    ) -> Head | None:
        """See Definitions."""
        if not await self._has_head((tenant, kind, name)):
            return None

        which = {"tenant": tenant, "kind": kind, "name": name, "version": version}
        found = await self._database.one("versions", which)
        return None if found is None else (await self._heads([found]))[0]

    async def archived(self, tenant: str, digest: str) -> JsonObject | None:
        """See Definitions."""
        kept = self._bodies.get((tenant, digest))
        if kept is not None:
            return kept

        text = (await self._archive(tenant, [digest])).get(digest)
        if text is None:
            return None

        body = object_of(text)
        if len(text) <= SMALL_CHARS:
            self._bodies.put((tenant, digest), body)

        return body

    async def keep(self, tenant: str, digest: str, body: JsonObject) -> None:
        """See Definitions."""
        document = {"_id": key(tenant, digest), "digest": digest, "body": json_of(body)}
        await self._database.insert("definitions", document)

    async def page(
        self,
        tenant: str,
        kind: DefinitionKind,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Head]:
        """See Definitions."""
        where = {"tenant": tenant, "kind": kind, "name": {"$gt": after or ""}}
        listing = Listing(where, (("name", 1),), limit + 1)
        found = await self._database.many("heads", listing)
        return await self._page(found, limit, "name")

    async def versions(
        self,
        tenant: str,
        kind: DefinitionKind,
        name: str,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Head]:
        """See Definitions."""
        before = {"$lt": version_before(after)}
        where = {"tenant": tenant, "kind": kind, "name": name, "version": before}
        if not await self._has_head((tenant, kind, name)):
            return Page(())

        listing = Listing(where, (("version", -1),), limit + 1)
        found = await self._database.many("versions", listing)
        return await self._page(found, limit, "version")

    async def delete(
        self,
        tenant: str,
        kind: DefinitionKind,
        name: str,
        *,
        expected_version: int | None,
        at: Timestamp,
    ) -> bool:
        """See Definitions."""
        which: Document = {"_id": key(tenant, kind, name)}
        if expected_version is None:
            return await self._database.delete("heads", which) == 1

        as_expected = {**which, "version": expected_version}
        if await self._database.delete("heads", as_expected):
            return True

        found = await self._database.one("heads", which, ("version",))
        if found is None:
            return False

        current = {"current": found["version"]}
        raise Conflict(code="version_conflict", details=current)

    async def _has_head(self, name: Name) -> bool:
        found = await self._database.one("heads", {"_id": key(*name)}, ("_id",))
        return found is not None

    async def _page(self, found: list[Document], limit: int, by: str) -> Page[Head]:
        kept = found[:limit]
        after = str(kept[-1][by]) if len(found) > limit else None
        return Page(tuple(await self._heads(kept)), after)

    async def _heads(self, found: Sequence[Document]) -> list[Head]:
        """Heads, or versions, with their bodies."""
        if not found:
            return []

        digests = [each["digest"] for each in found]
        bodies = await self._archive(found[0]["tenant"], digests)
        return [
            Head.model_validate_json(
                with_fields(each["text"], body=bodies[each["digest"]])
            )
            for each in found
        ]

    async def _archive(self, tenant: str, digests: Sequence[str]) -> dict[str, str]:
        """The bodies of these digests, as texts."""
        kept = {digest: self._texts.get((tenant, digest)) for digest in digests}
        texts = {digest: text for digest, text in kept.items() if text is not None}
        wanted = [key(tenant, digest) for digest in kept.keys() - texts.keys()]
        if wanted:
            listing = Listing({"_id": {"$in": wanted}})
            for each in await self._database.many("definitions", listing):
                texts[each["digest"]] = each["body"]
                if len(each["body"]) <= SMALL_CHARS:
                    self._texts.put((tenant, each["digest"]), each["body"])

        return texts


class _Saving:
    """One save, as often as its transaction is tried."""

    def __init__(self, database: Database, head: Head, expected: int | None) -> None:
        self._database = database
        self._head = head
        self._expected = expected
        self._name = {"tenant": head.tenant, "kind": head.kind, "name": head.name}
        self._key = {"_id": key(head.tenant, head.kind, head.name)}
        self._body = json_of(head.body)

    async def work(self, session: Session) -> Document | Conflict:
        """The version this decision saved, now or before, or why it cannot."""
        versions = self._database.collection("versions")
        by_us = {**self._name, "decision_id": self._head.decision_id}
        before = await versions.find_one(by_us, session=session)
        if before is not None:
            return before

        heads = self._database.collection("heads")
        current = await heads.find_one(self._key, ("version",), session=session)
        conflict = self._conflict(current)
        if conflict is not None:
            return conflict

        last = await versions.find_one(
            self._name, ("version",), sort=[("version", -1)], session=session
        )
        return await self._write(session, (last["version"] if last else 0) + 1)

    def _conflict(self, current: Document | None) -> Conflict | None:
        version = None if current is None else current["version"]
        if version == self._expected:
            return None

        code = "name_conflict" if self._expected is None else "version_conflict"
        return Conflict(code=code, details={"current": version})

    async def _write(self, session: Session, number: int) -> Document:
        head = self._head
        numbered = head.model_copy(update={"version": number})
        saved: dict[str, Any] = {
            **self._name,
            "version": number,
            "digest": head.digest,
            "text": numbered.model_dump_json(exclude={"body"}),
        }
        await self._database.collection("heads").replace_one(
            self._key, {**saved, "id": head.id}, upsert=True, session=session
        )
        version = {**saved, "decision_id": head.decision_id}
        await self._database.collection("versions").insert_one(
            {"_id": key(*self._parts(), f"{number:012d}"), **version}, session=session
        )
        await self._database.collection("definitions").update_one(
            {"_id": key(head.tenant, head.digest)},
            {"$setOnInsert": {"digest": head.digest, "body": self._body}},
            upsert=True,
            session=session,
        )
        return saved

    def _parts(self) -> Name:
        return self._head.tenant, self._head.kind, self._head.name
