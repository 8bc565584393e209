"""Bearer keys and the subjects behind them."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import KeyRow, Timestamp
from store.cursors import Span
from store.protocol import Cursor, Page
from store.sqlite.caches import Coherent
from store.sqlite.listing import Source, part_of
from store.sqlite.rows import Row, one
from store.sqlite.writer import Database
from store.texts import json_of, with_fields

_KEYS = 2_048

_COLUMNS = "body, revoked_at"
_ALL = Source("created_at", "id", _COLUMNS, "keys")


def _subject(connection: Connection, tenant: str, name: str, fresh_id: str) -> str:
    row = one(
        connection,
        "INSERT INTO subjects VALUES (?,?,?) "
        "ON CONFLICT DO UPDATE SET id = id RETURNING id",
        (tenant, name, fresh_id),
    )
    return fresh_id if row is None else row[0]


def _create(connection: Connection, row: Row) -> Row | None:
    """Insert a key unless its id is there; the columns that stand there now."""
    connection.execute(
        "INSERT INTO keys VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", row
    )
    return _select(connection, row[0])


def _select(connection: Connection, key_id: str) -> Row | None:
    return one(connection, f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (key_id,))


def _revoke(connection: Connection, tenant: str, key_id: str, at: Timestamp) -> bool:
    sql = (
        "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) "
        "WHERE tenant = ? AND id = ?"
    )
    return connection.execute(sql, (at, tenant, key_id)).rowcount == 1


def _row(key: KeyRow) -> Row:
    body = key.model_dump_json(exclude={"revoked_at"})
    return key.id, key.tenant, key.created_at, key.revoked_at, body


def _key(row: Row) -> KeyRow:
    body, revoked_at = row
    return KeyRow.model_validate_json(with_fields(body, revoked_at=json_of(revoked_at)))


class SqliteKeys:
    """Keys in tables ``keys`` and ``subjects``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Coherent[str, KeyRow] = Coherent(_KEYS)

    async def subject(self, tenant: str, name: str, fresh_id: str) -> str:
        """See Keys."""
        return await self._database.write(lambda c: _subject(c, tenant, name, fresh_id))

    async def create(self, key: KeyRow) -> KeyRow:
        """See Keys."""
        row = _row(key)
        with self._keys.writing(key.id):
            stored = await self._database.write(lambda c: _create(c, row))

        return key if stored is None else _key(stored)

    async def get(self, key_id: str) -> KeyRow | None:
        """See Keys."""
        known = self._keys.get(key_id)
        if known is not None:
            return known

        since = self._keys.reading()
        row = await self._database.read(lambda c: _select(c, key_id))
        if row is None:
            return None

        key = _key(row)
        self._keys.keep(key_id, key, since)
        return key

    async def page(
        self, tenant: str, *, limit: int, after: Cursor | None = None
    ) -> Page[KeyRow]:
        """See Keys."""
        where, span = {"tenant = ?": tenant}, Span(limit, after)
        part = await self._database.read(lambda c: part_of(c, _ALL, where, span))
        return Page(tuple(map(_key, part.rows)), part.next)

    async def revoke(self, tenant: str, key_id: str, at: Timestamp) -> bool:
        """See Keys."""
        with self._keys.writing(key_id):
            return await self._database.write(lambda c: _revoke(c, tenant, key_id, at))
