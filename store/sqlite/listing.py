"""Lists in the order of a time and an id, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from sqlite3 import Connection
from typing import NamedTuple

from store.cursors import Span, sort_key
from store.protocol import Cursor
from store.sqlite.rows import Row, many


class Source(NamedTuple):
    """Where the rows of a list stand: the first two columns are its sort key."""

    at: str
    id: str
    columns: str
    tables: str


class Part(NamedTuple):
    """Rows without their sort key, and where the next part begins."""

    rows: list[Row]
    next: Cursor | None


def part_of(
    connection: Connection, source: Source, where: Mapping[str, object], span: Span
) -> Part:
    """The rows for which all conditions hold; a condition of None is left out."""
    sql, values = statement(source, where, span)
    rows = many(connection, sql, values)
    if len(rows) <= span.limit:
        return Part([row[2:] for row in rows], None)

    kept = rows[: span.limit]
    return Part([row[2:] for row in kept], kept[-1][0] + kept[-1][1])


def statement(
    source: Source, where: Mapping[str, object], span: Span
) -> tuple[str, list[object]]:
    """The statement that reads one row more than the part has, and its values."""
    given = {sql: value for sql, value in where.items() if value is not None}
    conditions, values = list(given), list(given.values())
    if span.after is not None:
        sign = "<" if span.order == "desc" else ">"
        conditions.append(f"({source.at}, {source.id}) {sign} (?, ?)")
        values += sort_key(span.after)

    sql = (
        f"SELECT {source.at}, {source.id}, {source.columns} FROM {source.tables} "
        f"WHERE {' AND '.join(conditions)} "
        f"ORDER BY {source.at} {span.order}, {source.id} {span.order} LIMIT ?"
    )
    return sql, [*values, span.limit + 1]
