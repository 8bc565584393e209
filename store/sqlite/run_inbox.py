"""A run's inbox: what came from outside, in order of arrival, handled once."""

from __future__ import annotations

from sqlite3 import Connection

from contracts import InboxItem
from store.sqlite.rows import Row, many, one

_INBOX = "SELECT body FROM run_inbox WHERE tenant = ? AND run_id = ?"


def put(connection: Connection, tenant: str, run_id: str, item: InboxItem) -> bool:
    """Lay an item in; False if it lay there or there is no such run."""
    laid = connection.execute(
        "INSERT INTO run_inbox (tenant, run_id, id, body) "
        "SELECT tenant, id, ?, ? FROM runs WHERE tenant = ? AND id = ? "
        "ON CONFLICT DO NOTHING",
        (item.id, item.model_dump_json(), tenant, run_id),
    ).rowcount
    if not laid:
        return False

    connection.execute(
        "UPDATE runs SET unheard = 1 WHERE tenant = ? AND id = ? AND NOT unheard",
        (tenant, run_id),
    )
    return True


def unhandled(connection: Connection, tenant: str, run_id: str) -> list[Row]:
    """The bodies of what lies unhandled, in order of arrival."""
    sql = f"{_INBOX} AND NOT handled ORDER BY arrival"
    return many(connection, sql, (tenant, run_id))


def select(
    connection: Connection, tenant: str, run_id: str, item_id: str
) -> Row | None:
    """The body of one item, handled or not."""
    return one(connection, f"{_INBOX} AND id = ?", (tenant, run_id, item_id))
