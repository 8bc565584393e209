"""Reading rows: one, or all of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any, TypeVar

from contracts import SluicegateError

T = TypeVar("T")

Row = tuple[Any, ...]
"""The columns of a row as the driver gives them."""


def one(connection: Connection, sql: str, values: Sequence[object] = ()) -> Row | None:
    """The first row of a statement, if there is one."""
    row: Row | None = connection.execute(sql, values).fetchone()
    return row


def many(connection: Connection, sql: str, values: Sequence[object] = ()) -> list[Row]:
    """All rows of a statement."""
    return connection.execute(sql, values).fetchall()


def unless_refused(result: T | SluicegateError) -> T:
    """What a unit returned. Raises the refusal it returned instead.

    A unit that raises makes its whole batch run again; one that returns does not.
    """
    if isinstance(result, SluicegateError):
        raise result

    return result
