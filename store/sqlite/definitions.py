"""Definitions: heads, versions, and bodies by digest."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import Conflict, JsonObject, Timestamp
from contracts.definitions import DefinitionKind, Head
from store.caches import SMALL_CHARS, Recent
from store.cursors import version_before
from store.protocol import Cursor, Page
from store.sqlite.caches import Coherent
from store.sqlite.rows import Row, many, one, unless_refused
from store.sqlite.writer import Database
from store.texts import json_of, object_of, with_fields

Name = tuple[str, DefinitionKind, str]
"""Tenant, kind and name of a definition."""

_HEADS = 256
_BODIES = 256

_VERSION = "v.tenant = ? AND v.kind = ? AND v.name = ?"
_VERSIONS = (
    "SELECT v.version, v.body, d.body FROM versions v CROSS JOIN definitions d "
    "ON d.tenant = v.tenant AND d.digest = v.digest"
)
_HAS_HEAD = (
    "EXISTS (SELECT 1 FROM heads h WHERE h.tenant = v.tenant AND h.kind = v.kind "
    "AND h.name = v.name)"
)
_HEAD = "tenant = ? AND kind = ? AND name = ?"
_HEAD_VERSIONS = (
    "SELECT h.name, v.body, d.body FROM heads h "
    "CROSS JOIN versions v ON v.tenant = h.tenant AND v.kind = h.kind "
    "AND v.name = h.name AND v.version = h.version "
    "CROSS JOIN definitions d ON d.tenant = v.tenant AND d.digest = v.digest"
)


def _save(
    connection: Connection, head: Head, body: str, expected: int | None
) -> Row | Conflict:
    """Save a version; the texts of what this decision saved, now or before."""
    name: Name = (head.tenant, head.kind, head.name)
    sql = f"{_VERSIONS} WHERE {_VERSION} AND v.decision_id = ?"
    before = one(connection, sql, (*name, head.decision_id))
    if before is not None:
        return before[1:]

    conflict = _conflict(connection, name, expected)
    if conflict is not None:
        return conflict

    numbered = head.model_copy(update={"version": _latest(connection, name) + 1})
    text = numbered.model_dump_json(exclude={"body"})
    _keep(connection, head.tenant, head.digest, body)
    _insert(connection, numbered, text)
    return text, body


def _insert(connection: Connection, head: Head, text: str) -> None:
    name: Name = (head.tenant, head.kind, head.name)
    connection.execute(
        "INSERT INTO versions VALUES (?,?,?,?,?,?,?)",
        (*name, head.version, head.decision_id, head.digest, text),
    )
    connection.execute(
        "INSERT INTO heads VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE "
        "SET id = excluded.id, version = excluded.version",
        (*name, head.id, head.version),
    )


def _conflict(
    connection: Connection, name: Name, expected: int | None
) -> Conflict | None:
    """Why a name cannot be saved or deleted as the version that is expected."""
    row = one(connection, f"SELECT version FROM heads WHERE {_HEAD}", name)
    current = None if row is None else row[0]
    if current == expected:
        return None

    code = "name_conflict" if expected is None else "version_conflict"
    return Conflict(code=code, details={"current": current})


def _latest(connection: Connection, name: Name) -> int:
    """The number of the last version, whether or not the name still has a head."""
    row = one(connection, f"SELECT max(version) FROM versions WHERE {_HEAD}", name)
    return (row and row[0]) or 0


def _keep(connection: Connection, tenant: str, digest: str, body: str) -> None:
    connection.execute(
        "INSERT INTO definitions VALUES (?,?,?) ON CONFLICT DO NOTHING",
        (tenant, digest, body),
    )


def _delete(
    connection: Connection, name: Name, expected: int | None
) -> bool | Conflict:
    conflict = None if expected is None else _conflict(connection, name, expected)
    if conflict is not None:
        return False if conflict.details["current"] is None else conflict

    deleted = connection.execute(f"DELETE FROM heads WHERE {_HEAD}", name).rowcount
    return deleted == 1


def _select(connection: Connection, name: Name) -> Row | None:
    """The texts of the head of a name, else of an id."""
    sql = f"{_HEAD_VERSIONS} WHERE h.tenant = ? AND h.kind = ?"
    by_name = one(connection, f"{sql} AND h.name = ?", name)
    return by_name or one(connection, f"{sql} AND h.id = ?", name)


def _head(row: Row) -> Head:
    text, body = row
    return Head.model_validate_json(with_fields(text, body=body))


class SqliteDefinitions:
    """Definitions in tables ``heads``, ``versions`` and ``definitions``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heads: Coherent[Name, Head] = Coherent(_HEADS)
        self._bodies: Recent[tuple[str, str], JsonObject] = Recent(_BODIES)

    async def save(self, head: Head, *, expected_version: int | None) -> Head:
        """See Definitions."""
        name: Name = (head.tenant, head.kind, head.name)
        body = json_of(head.body)
        with self._heads.writing(name):
            result = await self._database.write(
                lambda c: _save(c, head, body, expected_version)
            )

        return _head(unless_refused(result))

    async def head(self, tenant: str, kind: DefinitionKind, name: str) -> Head | None:
        """See Definitions."""
        key: Name = (tenant, kind, name)
        known = self._heads.get(key)
        if known is not None:
            return known

        since = self._heads.reading()
        row = await self._database.read(lambda c: _select(c, key))
        if row is None:
            return None

        head = _head(row[1:])
        small = len(row[2]) <= SMALL_CHARS
        if small and head.name == name:  # found by id it would not be forgotten
            self._heads.keep(key, head, since)

        return head

    async def version(
        self, tenant: str, kind: DefinitionKind, name: str, version: int
    ) -> Head | None:
        """See Definitions."""
        sql = f"{_VERSIONS} WHERE {_VERSION} AND v.version = ? AND {_HAS_HEAD}"
        values = (tenant, kind, name, version)
        row = await self._database.read(lambda c: one(c, sql, values))
        return None if row is None else _head(row[1:])

    async def archived(self, tenant: str, digest: str) -> JsonObject | None:
        """See Definitions."""
        key = (tenant, digest)
        kept = self._bodies.get(key)
        if kept is not None:
            return kept

        sql = "SELECT body FROM definitions WHERE tenant = ? AND digest = ?"
        row = await self._database.read(lambda c: one(c, sql, key))
        if row is None:
            return None

        body = object_of(row[0])
        if len(row[0]) <= SMALL_CHARS:
            self._bodies.put(key, body)

        return body

    async def keep(self, tenant: str, digest: str, body: JsonObject) -> None:
        """See Definitions."""
        text = json_of(body)
        await self._database.write(lambda c: _keep(c, tenant, digest, text))

    async def page(
        self,
        tenant: str,
        kind: DefinitionKind,
        *,
        limit: int,
        after: Cursor | None = None,
    ) -> Page[Head]:
        """See Definitions."""
        sql = (
            f"{_HEAD_VERSIONS} WHERE h.tenant = ? AND h.kind = ? AND h.name > ? "
            "ORDER BY h.name LIMIT ?"
        )
        values = (tenant, kind, after or "", limit + 1)
        rows = await self._database.read(lambda c: many(c, sql, values))
        return _page(rows, limit)

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
        sql = (
            f"{_VERSIONS} WHERE {_VERSION} AND v.version < ? AND {_HAS_HEAD} "
            "ORDER BY v.version DESC LIMIT ?"
        )
        values = (tenant, kind, name, version_before(after), limit + 1)
        rows = await self._database.read(lambda c: many(c, sql, values))
        return _page(rows, limit)

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
        key: Name = (tenant, kind, name)
        with self._heads.writing(key):
            result = await self._database.write(
                lambda c: _delete(c, key, expected_version)
            )

        return unless_refused(result)


def _page(rows: list[Row], limit: int) -> Page[Head]:
    """Heads of rows that begin with their sort key; one row more says: go on."""
    kept = rows[:limit]
    after = str(kept[-1][0]) if len(rows) > limit else None
    return Page(tuple(_head(row[1:]) for row in kept), after)
