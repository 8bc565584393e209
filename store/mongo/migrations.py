"""Bringing a database up to the schema this version knows, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pymongo
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from contracts import ConfigurationError
from contracts.failpoints import reach
from store.mongo.database import Database
from store.mongo.words import in_our_words

INDEXING_S = 600.0
"""How long a start may build indexes over what is already there."""

_VERSION = "schema_version"
_IS_THERE = 48


class Step(NamedTuple):
    """A change of the schema; once released it is never changed.

    It only adds: collections by name, each with its indexes. Taken twice, or by
    several processes at once, it comes to the same.
    """

    number: int
    title: str
    indexes: Mapping[str, Sequence[IndexModel]]


async def migrate(database: Database, steps: Sequence[Step]) -> int:
    """Take the steps not yet taken, in order; how many that were.

    The version is written after its step, so a start after a crash takes again the
    step that was not finished. Raises ConfigurationError ``store_too_new`` for a
    database whose schema is newer than all steps.
    """
    version = await schema_version(database)
    if version > len(steps):
        raise _too_new(version, len(steps))

    for step in steps[version:]:
        with in_our_words(), pymongo.timeout(INDEXING_S):
            await _take(database, step)

    return len(steps) - version


async def schema_version(database: Database) -> int:
    """The number of the last step taken; 0 if there was none."""
    row = await database.one("meta", {"_id": _VERSION})
    return 0 if row is None else int(row["value"])


async def touch(database: Database) -> None:
    """Write a little where nobody minds. Raises StoreUnavailable."""
    await database.changed("meta", {"_id": _VERSION}, {"$inc": {"pings": 1}})


async def _take(database: Database, step: Step) -> None:
    for name, indexes in step.indexes.items():
        await _make(database, name)
        if indexes:
            await database.collection(name).create_indexes(list(indexes))

    reach("B22")
    reached: dict[str, Any] = {"_id": _VERSION, "value": {"$lt": step.number}}
    try:
        await database.collection("meta").update_one(
            reached, {"$set": {"value": step.number}}, upsert=True
        )
    except DuplicateKeyError:
        return  # another process is as far, or farther


async def _make(database: Database, name: str) -> None:
    try:
        await database.mongo.command("create", name)
    except OperationFailure as error:
        if error.code != _IS_THERE:
            raise


def _too_new(version: int, known: int) -> ConfigurationError:
    message = f"The store is of schema {version}; this version knows up to {known}."
    details = {"found": version, "known": known}
    return ConfigurationError(message, code="store_too_new", details=details)
