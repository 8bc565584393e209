"""Definitions: heads, versions, and bodies by digest."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import JsonObject, Timestamp
from contracts.definitions import DefinitionKind, Head
from store.caches import SMALL_CHARS, Recent
from store.cursors import version_before
from store.mongo import saving
from store.mongo.database import Database, Document, Listing, key
from store.protocol import Cursor, Page
from store.texts import object_of, with_fields

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
        saved = await saving.save(self._database, head, expected_version)
        return (await self._heads([saved]))[0]

    async def head(self, tenant: str, kind: DefinitionKind, name: str) -> Head | None:
        """See Definitions."""
        found = await self._database.by_id("heads", key(tenant, kind, name))
        if found is None or "gone" in found:
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
        await saving.keep(self._database, tenant, digest, body)

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
        where |= saving.LIVE
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
        return await saving.delete(
            self._database, (tenant, kind, name), expected_version
        )

    async def _has_head(self, name: saving.Name) -> bool:
        found = await self._database.one(
            "heads", {"_id": key(*name), **saving.LIVE}, ("_id",)
        )
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
