"""Bringing a database up to the schema this version knows, one step at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from contracts import ConfigurationError

_META = """
CREATE TABLE IF NOT EXISTS meta (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""


class Step(NamedTuple):
    """A change of the schema; once released it is never changed.

    ``script`` holds SQL statements that only add: what an older version of the same
    major version wrote and reads must go on working. It neither begins nor commits.
    """

    number: int
    title: str
    script: str


def migrate(connection: Connection, steps: Sequence[Step]) -> int:
    """Take the steps not yet taken, in order; how many that were.

    Each step and the version it leads to are one transaction (a savepoint of the
    caller's, if one is open), so a start after a crash goes on at the step that
    failed. Steps are numbered from 1 without a gap.
    Raises ConfigurationError for a database whose schema is newer than all steps.
    """
    known = [step.number for step in steps]
    if known != list(range(1, len(steps) + 1)):
        raise ValueError(f"steps must be numbered from 1 without a gap: {known}")

    connection.execute(_META)
    version = schema_version(connection)
    if version > len(steps):
        raise _too_new(version, len(steps))

    for step in steps[version:]:
        _take(connection, step)

    return len(steps) - version


def schema_version(connection: Connection) -> int:
    """The number of the last step taken; 0 if there was none. Needs ``meta``."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'")
    found = row.fetchone()
    return 0 if found is None else int(found[0])


def _take(connection: Connection, step: Step) -> None:
    connection.execute("SAVEPOINT step")
    try:
        for statement in _statements(step.script):
            connection.execute(statement)

        _set_version(connection, step.number)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO step")
            connection.execute("RELEASE step")

        raise

    connection.execute("RELEASE step")


def _set_version(connection: Connection, version: int) -> None:
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('schema_version', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(version),),
    )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; a semicolon within one does not end it."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

    if statement:
        raise ValueError(f"a script ends within a statement: {statement[:80]}")


def _too_new(version: int, known: int) -> ConfigurationError:
    message = f"The store is of schema {version}; this version knows up to {known}."
    details = {"found": version, "known": known}
    return ConfigurationError(message, code="store_too_new", details=details)
