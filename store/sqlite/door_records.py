"""What doors keep, in one table."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import DoorRecord, Timestamp
from store.sqlite.rows import Row, many, one
from store.sqlite.writer import Database

_AT_ONCE = 1_000
_THIS = "tenant = ? AND door = ? AND kind = ? AND name = ?"
_KIND = "tenant = ? AND door = ? AND kind = ?"


def _key(record: DoorRecord) -> Row:
    return record.tenant, record.door, record.kind, record.name


def _add(connection: Connection, record: DoorRecord, body: str) -> Row | None:
    """Write a record; the one that was there before, if one was."""
    added = connection.execute(
        "INSERT INTO door_records "
        "(tenant, door, kind, name, version, is_open, expires_at, body) "
        "VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (*_key(record), record.version, record.is_open, record.expires_at, body),
    ).rowcount
    return None if added else _select(connection, _key(record))


def _select(connection: Connection, key: Row) -> Row | None:
    return one(connection, f"SELECT body FROM door_records WHERE {_THIS}", key)


def _change(connection: Connection, record: DoorRecord, body: str) -> bool:
    changed = connection.execute(
        "UPDATE door_records SET version = ?, is_open = ?, expires_at = ?, body = ? "
        f"WHERE {_THIS} AND (version = ? OR (version = ? AND body = ?))",
        (
            *(record.version, record.is_open, record.expires_at, body),
            *_key(record),
            *(record.version - 1, record.version, body),
        ),
    ).rowcount
    return changed == 1


def _expire_some(connection: Connection, now: Timestamp) -> int:
    return connection.execute(
        "DELETE FROM door_records WHERE arrival IN "
        "(SELECT arrival FROM door_records WHERE expires_at <= ? LIMIT ?)",
        (now, _AT_ONCE),
    ).rowcount


class SqliteDoorRecords:
    """DoorRecords in table ``door_records``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: DoorRecord) -> tuple[DoorRecord, bool]:
        """See DoorRecords."""
        body = record.model_dump_json()
        before = await self._database.write(lambda c: _add(c, record, body))
        return (record, True) if before is None else (_record(before), False)

    async def get(
        self, tenant: str, door: str, kind: str, name: str
    ) -> DoorRecord | None:
        """See DoorRecords."""
        found = await self._database.read(
            lambda c: _select(c, (tenant, door, kind, name))
        )
        return None if found is None else _record(found)

    async def change(self, record: DoorRecord) -> bool:
        """See DoorRecords."""
        body = record.model_dump_json()
        return await self._database.write(lambda c: _change(c, record, body))

    async def waiting(
        self, tenant: str, door: str, kind: str, *, limit: int
    ) -> tuple[DoorRecord, ...]:
        """See DoorRecords."""
        sql = (
            f"SELECT body FROM door_records WHERE {_KIND} AND is_open "
            "ORDER BY arrival LIMIT ?"
        )
        found = await self._database.read(
            lambda c: many(c, sql, (tenant, door, kind, limit))
        )
        return tuple(map(_record, found))

    async def named(
        self, tenant: str, door: str, kind: str, *, limit: int, after: str = ""
    ) -> tuple[DoorRecord, ...]:
        """See DoorRecords."""
        sql = (
            f"SELECT body FROM door_records WHERE {_KIND} AND name > ? "
            "ORDER BY name LIMIT ?"
        )
        found = await self._database.read(
            lambda c: many(c, sql, (tenant, door, kind, after, limit))
        )
        return tuple(map(_record, found))

    async def expire(self, now: Timestamp) -> int:
        """See DoorRecords."""
        removed = 0
        while True:
            some = await self._database.write(lambda c: _expire_some(c, now))
            removed += some
            if some < _AT_ONCE:
                return removed


def _record(row: Row) -> DoorRecord:
    return DoorRecord.model_validate_json(row[0])
