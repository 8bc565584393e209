"""A run's log: events at their positions, and what travels with an append."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from sqlite3 import Connection
from typing import Literal, NamedTuple

from contracts import (
    ENDED,
    NotFound,
    PermanentError,
    RunEvent,
    SequenceConflict,
)
from store.appends import status_after, types_of, unless_gaps
from store.protocol import Append, EventFilter
from store.sqlite.rows import Row, many, one

_LOG = "tenant = ? AND run_id = ?"
_END = (
    "SELECT r.ended, e.seq, e.writer FROM runs r LEFT JOIN run_events e "
    "ON e.tenant = r.tenant AND e.run_id = r.id "
    "WHERE r.tenant = ? AND r.id = ? ORDER BY e.seq DESC LIMIT 1"
)
_INSERT = "INSERT INTO run_events VALUES "
_VALUES = "(?,?,?,?,?,?,?,?)"
_AT_ONCE = 64
"""Rows of one statement: each step of a statement costs the interpreter's lock."""

_UNHEARD = (
    "unheard = EXISTS (SELECT 1 FROM run_inbox i WHERE i.tenant = runs.tenant "
    "AND i.run_id = runs.id AND NOT i.handled)"
)


class Entries(NamedTuple):
    """An append as it is written."""

    tenant: str
    run_id: str
    writer: str
    rows: list[Row]
    status: str | None
    state: str | None
    append: Append

    @property
    def first(self) -> int:
        """The position of the first event."""
        position: int = self.rows[0][2]
        return position

    @property
    def last(self) -> int:
        """The position of the last event."""
        return self.first + len(self.rows) - 1


def prepared(tenant: str, run_id: str, append: Append) -> Entries:
    """An append made ready. Raises SequenceConflict if its positions have gaps."""
    unless_gaps(append)
    rows = [_row(tenant, run_id, append.writer, event) for event in append.events]
    state = None if append.state is None else append.state.model_dump_json()
    status = status_after(append)
    return Entries(tenant, run_id, append.writer, rows, status, state, append)


def _row(tenant: str, run_id: str, writer: str, event: RunEvent) -> Row:
    return (
        tenant,
        run_id,
        event.seq,
        event.id,
        event.type,
        event.node_id,
        writer,
        event.model_dump_json(),
    )


def write(connection: Connection, entries: Entries) -> PermanentError | None:
    """Write an append, or nothing of it if a refusal is returned.

    Refusals are SequenceConflict and NotFound.
    """
    run = one(connection, _END, (entries.tenant, entries.run_id))
    if run is None:
        return NotFound("There is no such run.")

    ended, last, writer = run
    new = entries.rows
    if not new:
        ours = writer == entries.writer
    elif entries.first == (last or 0) + 1:
        ours = True
    else:
        come_back = _come_back(connection, entries)
        ours, new = come_back > 0, new[come_back:]
        if ours and not new:
            return None

    if ended or not ours:
        return SequenceConflict()

    _insert(connection, new)
    _write_beside(connection, entries)
    return None


def _insert(connection: Connection, rows: list[Row]) -> None:
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        values = ",".join([_VALUES] * len(part))
        connection.execute(_INSERT + values, [*chain.from_iterable(part)])


def _come_back(connection: Connection, entries: Entries) -> int:
    """How many of the events stand there because we wrote them; 0 if others do."""
    standing = many(
        connection,
        f"SELECT seq, id, writer FROM run_events WHERE {_LOG} "
        "AND seq BETWEEN ? AND ? ORDER BY seq",
        (entries.tenant, entries.run_id, entries.first, entries.last),
    )
    ours = [(row[2], row[3], row[6]) for row in entries.rows[: len(standing)]]
    return len(standing) if standing == ours else 0


def _write_beside(connection: Connection, entries: Entries) -> None:
    append, key = entries.append, (entries.tenant, entries.run_id)
    if append.handled:
        connection.executemany(
            f"UPDATE run_inbox SET handled = 1 WHERE {_LOG} AND id = ?",
            [(*key, item) for item in append.handled],
        )

    changes = _changes(entries)
    if changes:
        sql = ", ".join(each for each, *_ in changes)
        values = [value for _, *given in changes for value in given]
        connection.execute(
            f"UPDATE runs SET {sql} WHERE tenant = ? AND id = ?", (*values, *key)
        )


def _changes(entries: Entries) -> list[tuple[str, *tuple[str | None, ...]]]:
    """What an append changes in the run's row: assignments with their values."""
    append, changes = entries.append, list[tuple[str, *tuple[str | None, ...]]]()
    if entries.status is not None:
        changes.append(("status = ?", entries.status))

    if entries.state is not None:
        changes.append(("state = ?, wake_at = ?", entries.state, append.wake_at))
    elif append.wake_at is not None:
        changes.append(("wake_at = ?", append.wake_at))

    if append.release or entries.status in ENDED:
        changes.append(("lease_owner = NULL, lease_until = NULL",))

    if append.handled:
        changes.append((_UNHEARD,))

    return changes


class EventSpan(NamedTuple):
    """Which part of a log is wanted."""

    after: int
    limit: int
    where: EventFilter
    order: Literal["asc", "desc"]


def select(
    connection: Connection, tenant: str, run_id: str, span: EventSpan
) -> list[Row]:
    """The bodies of a part of a run's log."""
    sql, values = _selection(span)
    return many(connection, sql, (tenant, run_id, *values))


def _selection(span: EventSpan) -> tuple[str, Sequence[object]]:
    sql, values = f"SELECT body FROM run_events WHERE {_LOG}", list[object]()
    if span.after:
        sql += " AND seq < ?" if span.order == "desc" else " AND seq > ?"
        values.append(span.after)

    types = types_of(span.where)
    if types is not None:
        sql += f" AND type IN ({', '.join('?' * len(types))})"
        values += types

    if span.where.node_id is not None:
        sql += " AND node_id = ?"
        values.append(span.where.node_id)

    return f"{sql} ORDER BY seq {span.order} LIMIT ?", [*values, span.limit]
