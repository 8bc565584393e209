"""Rows of conversations: what never changes as one text, what changes as columns."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import ConversationRow, InboxFull, InboxItem, Lease, Timestamp
from store.sqlite.listing import Source
from store.sqlite.rows import Row, many, one
from store.texts import json_of, with_fields

COLUMNS = "body, flow, spoke_at, state, recollection, lease_owner, lease_until, wake_at"
"""What ``conversation_of`` reads."""

ALL = Source("created_at", "id", COLUMNS, "conversations")
"""Every conversation of a tenant."""

CHANGING = {"flow", "spoke_at", "state", "recollection", "lease", "wake_at"}
"""Fields that the text of a conversation lacks."""

_THIS = "tenant = ? AND id = ?"
_UNHANDLED = "tenant = ? AND conversation_id = ? AND NOT handled"
_FREE = (
    "(lease_until IS NULL OR lease_until <= ? OR (lease_owner, lease_until) = (?,?))"
)


def new_row(row: ConversationRow) -> Row:
    """A conversation as it is written."""
    channel = row.channel
    return (
        row.tenant,
        row.id,
        row.subject,
        channel.kind,
        channel.address or None,
        row.created_at,
        row.flow,
        row.state.model_dump_json(),
        row.recollection.model_dump_json(),
        row.model_dump_json(exclude=CHANGING),
    )


def insert(connection: Connection, row: Row) -> Row | None:
    """Write a conversation; the one that was there before, if one was."""
    tenant, id_, _, kind, address, *_ = row
    before = select(connection, tenant, id_) or at(connection, tenant, kind, address)
    if before is None:
        connection.execute(
            "INSERT INTO conversations (tenant, id, subject, kind, address, "
            "created_at, flow, state, recollection, body) "
            "VALUES (?,?,?,?,?,?,?,?,?,?)",
            row,
        )

    return before


def conversation_of(row: Row) -> ConversationRow:
    """The conversation of these columns."""
    body, flow, spoke_at, state, recollection, owner, until, wake_at = row
    lease = until and {"owner": owner, "until": until}
    text = with_fields(
        body,
        flow=json_of(flow),
        spoke_at=json_of(spoke_at),
        state=state,
        recollection=recollection,
        lease=json_of(lease),
        wake_at=json_of(wake_at),
    )
    return ConversationRow.model_validate_json(text)


def select(connection: Connection, tenant: str, id_: str) -> Row | None:
    """The columns of one conversation."""
    sql = f"SELECT {COLUMNS} FROM conversations WHERE {_THIS}"
    return one(connection, sql, (tenant, id_))


def at(
    connection: Connection, tenant: str, kind: str, address: str | None
) -> Row | None:
    """The columns of the conversation of an address."""
    sql = (
        f"SELECT {COLUMNS} FROM conversations "
        "WHERE tenant = ? AND kind = ? AND address = ?"
    )
    return one(connection, sql, (tenant, kind, address))


def bind(connection: Connection, tenant: str, id_: str, flow: str | None) -> Row | None:
    """Bind a conversation; its columns then."""
    sql = f"UPDATE conversations SET flow = ? WHERE {_THIS}"
    connection.execute(sql, (flow, tenant, id_))
    return select(connection, tenant, id_)


def claim(
    connection: Connection, key: tuple[str, str], lease: Lease, now: Timestamp
) -> Row | None:
    """Take a free lease; the columns then, None if it is not free."""
    taken = connection.execute(
        "UPDATE conversations SET lease_owner = ?, lease_until = ? "
        f"WHERE {_THIS} AND {_FREE}",
        (lease.owner, lease.until, *key, now, lease.owner, lease.until),
    ).rowcount
    return select(connection, *key) if taken else None


def renew(connection: Connection, key: tuple[str, str], lease: Lease) -> bool:
    """Prolong our lease; whether it was ours."""
    sql = f"UPDATE conversations SET lease_until = ? WHERE {_THIS} AND lease_owner = ?"
    return connection.execute(sql, (lease.until, *key, lease.owner)).rowcount == 1


def release(
    connection: Connection,
    key: tuple[str, str],
    owner: str,
    wake_at: Timestamp | None,
) -> None:
    """Give our lease back, and say when to look again."""
    connection.execute(
        "UPDATE conversations SET lease_owner = NULL, lease_until = NULL, wake_at = ? "
        f"WHERE {_THIS} AND lease_owner = ?",
        (wake_at, *key, owner),
    )


def void_leases(connection: Connection) -> int:
    """Take every lease away; how many there were."""
    return connection.execute(
        "UPDATE conversations SET lease_owner = NULL, lease_until = NULL "
        "WHERE lease_until >= ''"
    ).rowcount


def put(
    connection: Connection, key: tuple[str, str], item: InboxItem, most: int | None
) -> bool | InboxFull:
    """Lay an item in; False if it lay there or there is no such conversation."""
    if most is not None and _is_full(connection, key, most):
        return False if _lies(connection, key, item.id) else InboxFull(most)

    laid = connection.execute(
        "INSERT INTO conversation_inbox (tenant, conversation_id, id, body) "
        f"SELECT tenant, id, ?, ? FROM conversations WHERE {_THIS} "
        "ON CONFLICT DO NOTHING",
        (item.id, item.model_dump_json(), *key),
    ).rowcount
    if not laid:
        return False

    spoke = ", spoke_at = ?" if item.kind == "said" else ""
    values = (item.at, *key) if spoke else key
    connection.execute(
        f"UPDATE conversations SET unheard = 1{spoke} WHERE {_THIS}", values
    )
    return True


def _is_full(connection: Connection, key: tuple[str, str], most: int) -> bool:
    sql = f"SELECT 1 FROM conversation_inbox WHERE {_UNHANDLED} LIMIT 1 OFFSET ?"
    return connection.execute(sql, (*key, most - 1)).fetchone() is not None


def _lies(connection: Connection, key: tuple[str, str], item_id: str) -> bool:
    sql = (
        "SELECT 1 FROM conversation_inbox "
        "WHERE tenant = ? AND conversation_id = ? AND id = ?"
    )
    return connection.execute(sql, (*key, item_id)).fetchone() is not None


def unhandled(connection: Connection, key: tuple[str, str]) -> list[Row]:
    """The bodies of what lies unhandled, in order of arrival."""
    sql = f"SELECT body FROM conversation_inbox WHERE {_UNHANDLED} ORDER BY arrival"
    return many(connection, sql, key)
