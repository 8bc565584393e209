"""Definitions as the gate reads them: by name now, or by digest as pinned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from agents.coordinator.grounds.keeping import Kept
from contracts import JsonObject, NotFound, PermanentError, Pins, read
from contracts.definitions import (
    DEFINITIONS,
    DefinitionKind,
    Described,
    Head,
    Stage,
)
from plans import Catalog, CatalogEntry, references
from store import Definitions

_D = TypeVar("_D", bound=Described)

_BODIES_KEPT = 2_048
_NAMES_SUGGESTED = 200


class Lookups:
    """Reads definitions; a body is parsed once, because its digest never changes."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._parsed: Kept[tuple[type[Described], str], Described] = Kept(_BODIES_KEPT)

    async def find(self, tenant: str, kind: DefinitionKind, name: str) -> Head | None:
        """The head of a name or id, if there is one."""
        return await self._definitions.head(tenant, kind, name)

    async def head(
        self, tenant: str, kind: DefinitionKind, name: str, version: int | None = None
    ) -> Head:
        """The head of a name or id, or that version of it. Raises NotFound."""
        head = await self.find(tenant, kind, name)
        if head is not None and version is not None and version != head.version:
            head = await self._definitions.version(tenant, kind, head.name, version)

        if head is None:
            which = f" in version {version}" if version else ""
            raise NotFound(f"There is no {kind} {name!r}{which}.")

        return head

    async def archived(self, tenant: str, digest: str) -> JsonObject:
        """The body of a digest. Raises PermanentError ``expired``."""
        body = await self._definitions.archived(tenant, digest)
        if body is None:
            raise PermanentError("What the run pinned has aged out.", code="expired")

        return body

    def parsed(self, model: type[_D], digest: str, body: JsonObject) -> _D:
        """The definition in a body of this digest."""
        parsed = self._parsed.made((model, digest), lambda: read(model, body))
        return cast(_D, parsed)

    async def catalog(self, tenant: str, keys: Iterable[str]) -> Catalog:
        """The heads of these ``kind:name``; what is not there is left out."""
        found: dict[str, CatalogEntry] = {}
        for key in sorted(keys):
            kind, name = _parts(key)
            head = await self.find(tenant, kind, name)
            if head is not None:
                body = self.parsed(DEFINITIONS[kind], head.digest, head.body)
                found[key] = CatalogEntry(head.digest, body)

        return found

    async def all_named(self, tenant: str, keys: Iterable[str]) -> Catalog:
        """The heads of these, and of what their stages name besides."""
        found = dict(await self.catalog(tenant, keys))
        bodies = (one.body for one in found.values())
        more = frozenset[str]().union(*map(references, filter(_is_stage, bodies)))
        return {**await self.catalog(tenant, more - found.keys()), **found}

    async def known_tools(self, tenant: str) -> tuple[str, ...]:
        """``tool:NAME`` of tools there are, to suggest one that is near."""
        page = await self._definitions.page(tenant, "tool", limit=_NAMES_SUGGESTED)
        return tuple(f"tool:{head.name}" for head in page.items)

    async def pinned(self, tenant: str, pins: Pins, key: str) -> CatalogEntry:
        """The definition that pins name by ``kind:name``. Raises as ``archived``."""
        model, digest = DEFINITIONS[_parts(key)[0]], pins[key]
        body = await self.archived(tenant, digest)
        return CatalogEntry(digest, self.parsed(model, digest, body))

    async def pinned_catalog(self, tenant: str, pins: Pins) -> Catalog:
        """Every definition that pins name. Raises as ``archived``."""
        return {key: await self.pinned(tenant, pins, key) for key in sorted(pins)}


def _is_stage(body: Described) -> bool:
    return isinstance(body, Stage)


def _parts(key: str) -> tuple[DefinitionKind, str]:
    kind, _, name = key.partition(":")
    return cast(DefinitionKind, kind), name
