"""A conversation's turn log and history, and what travels with an append."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Literal, NamedTuple

from contracts import NotFound, PermanentError, SequenceConflict
from store.appends import follow_each_other
from store.protocol import TurnAppend
from store.sqlite.rows import Row, many, one

_LOG = "tenant = ? AND conversation_id = ?"
_END = (
    "SELECT e.seq, e.writer FROM conversations c LEFT JOIN turn_events e "
    "ON e.tenant = c.tenant AND e.conversation_id = c.id "
    "WHERE c.tenant = ? AND c.id = ? ORDER BY e.seq DESC LIMIT 1"
)
_UNHEARD = (
    "unheard = EXISTS (SELECT 1 FROM conversation_inbox i "
    "WHERE i.tenant = conversations.tenant "
    "AND i.conversation_id = conversations.id AND NOT i.handled)"
)

Key = tuple[str, str]
"""Tenant and id of a conversation."""


class Entries(NamedTuple):
    """An append as it is written."""

    key: Key
    writer: str
    events: list[Row]
    messages: list[Row]
    state: str | None
    recollection: str | None
    append: TurnAppend


def prepared(key: Key, append: TurnAppend) -> Entries:
    """An append made ready. Raises SequenceConflict if its positions have gaps."""
    follow_each_other(event.seq for event in append.events)
    follow_each_other(message.n for message in append.messages)
    state, recollection = append.state, append.recollection
    return Entries(
        key,
        append.writer,
        [
            (*key, event.seq, event.id, append.writer, event.model_dump_json())
            for event in append.events
        ],
        [(*key, each.n, each.model_dump_json()) for each in append.messages],
        None if state is None else state.model_dump_json(),
        None if recollection is None else recollection.model_dump_json(),
        append,
    )


def write(connection: Connection, entries: Entries) -> PermanentError | None:
    """Write an append, or nothing of it if a refusal is returned.

    Refusals are SequenceConflict and NotFound.
    """
    end = one(connection, _END, entries.key)
    if end is None:
        return NotFound("There is no such conversation.")

    last, writer = end[0] or 0, end[1]
    if entries.events and entries.events[0][2] <= last:
        return None if _has_come_back(connection, entries) else SequenceConflict()

    is_next = not entries.events or entries.events[0][2] == last + 1
    is_ours = bool(entries.events) or writer == entries.writer
    if not is_next or not is_ours or not _goes_on(connection, entries):
        return SequenceConflict()

    connection.executemany(
        "INSERT INTO turn_events VALUES (?,?,?,?,?,?)", entries.events
    )
    connection.executemany(
        "INSERT INTO chat_history VALUES (?,?,?,?)", entries.messages
    )
    _write_beside(connection, entries)
    return None


def _has_come_back(connection: Connection, entries: Entries) -> bool:
    """Whether all the events stand there because we wrote them."""
    first, last = entries.events[0][2], entries.events[-1][2]
    standing = many(
        connection,
        f"SELECT seq, id, writer FROM turn_events WHERE {_LOG} "
        "AND seq BETWEEN ? AND ? ORDER BY seq",
        (*entries.key, first, last),
    )
    return standing == [tuple(row[2:5]) for row in entries.events]


def _goes_on(connection: Connection, entries: Entries) -> bool:
    """Whether the messages begin right after the last one of the history."""
    if not entries.messages:
        return True

    sql = f"SELECT max(n) FROM chat_history WHERE {_LOG}"
    last = one(connection, sql, entries.key)
    return bool(entries.messages[0][2] == ((last and last[0]) or 0) + 1)


def _write_beside(connection: Connection, entries: Entries) -> None:
    append, key = entries.append, entries.key
    connection.executemany(
        f"UPDATE conversation_inbox SET handled = 1 WHERE {_LOG} AND id = ?",
        [(*key, item) for item in append.handled],
    )
    changes, values = ["wake_at = ?", _UNHEARD], [append.wake_at]
    if entries.state is not None:
        changes.append("state = ?")
        values.append(entries.state)

    if entries.recollection is not None:
        changes.append("recollection = ?")
        values.append(entries.recollection)

    if append.release:
        changes.append("lease_owner = NULL, lease_until = NULL")

    connection.execute(
        f"UPDATE conversations SET {', '.join(changes)} WHERE tenant = ? AND id = ?",
        (*values, *key),
    )


Order = Literal["asc", "desc"]


def events(
    connection: Connection, key: Key, after: int, limit: int, order: Order
) -> list[Row]:
    """The bodies of a part of the log."""
    return _part(connection, ("turn_events", "seq"), key, (after, limit, order))


def messages(
    connection: Connection, key: Key, after: int, limit: int, order: Order
) -> list[Row]:
    """The bodies of a part of the history."""
    return _part(connection, ("chat_history", "n"), key, (after, limit, order))


def _part(
    connection: Connection,
    where: tuple[str, str],
    key: Key,
    span: tuple[int, int, Order],
) -> list[Row]:
    (table, place), (after, limit, order) = where, span
    sql = f"SELECT body FROM {table} WHERE {_LOG}"
    if after:
        sql += f" AND {place} < ?" if order == "desc" else f" AND {place} > ?"

    values = (*key, after, limit) if after else (*key, limit)
    return many(connection, f"{sql} ORDER BY {place} {order} LIMIT ?", values)
