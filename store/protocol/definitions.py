"""Definitions: heads under their names, versions by digest."""

from __future__ import annotations

from typing import Protocol

from contracts import JsonObject, Timestamp
from contracts.definitions import DefinitionKind, Head
from store.protocol.pages import Cursor, Page


class Definitions(Protocol):
    """What was defined, every version of it.

    Guarantees: a version never changes; a name has one head; deleting removes the
    head and leaves the archive. The same decision saving twice saves once.
    """

    async def save(self, head: Head, *, expected_version: int | None) -> Head:
        """Make ``head`` the head; its version is set here, one more than before.

        ``expected_version`` None creates. The stored head is returned, also when the
        same ``decision_id`` saved it before.
        Raises Conflict ``name_conflict`` or ``version_conflict`` (details: current).
        """

    async def head(self, tenant: str, kind: DefinitionKind, name: str) -> Head | None:
        """The head of this name or id."""

    async def version(
        self, tenant: str, kind: DefinitionKind, name: str, version: int
    ) -> Head | None:
        """One version of a name that has a head."""

    async def archived(self, tenant: str, digest: str) -> JsonObject | None:
        """The body of this digest, whatever became of its name."""

    async def keep(self, tenant: str, digest: str, body: JsonObject) -> None:
        """Put a body without a name into the archive; again is harmless."""

    async def page(
        self,
        tenant: str,
        kind: DefinitionKind,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Head]:
        """Heads by name."""

    async def versions(
        self,
        tenant: str,
        kind: DefinitionKind,
        name: str,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Head]:
        """Versions of a name, newest first."""

    async def delete(
        self,
        tenant: str,
        kind: DefinitionKind,
        name: str,
        *,
        expected_version: int | None,
        at: Timestamp,
    ) -> bool:
        """Remove the head; False if there is none.

        Raises Conflict ``version_conflict``.
        """
