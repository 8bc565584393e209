"""One database of a replica set: its verbs, with majority, deadline and our errors."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import anyio
import pymongo
from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from store.mongo.grouping import Grouped
from store.mongo.words import (
    all_landed,
    aside,
    in_our_words,
    landed,
    unavailable,
    whole,
)
from store.texts import json_of

Document = dict[str, Any]
Where = Mapping[str, Any]
Change = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""An update document, or the stages of an update pipeline."""

Sort = Sequence[tuple[str, int]]

T = TypeVar("T")

_DUPLICATE = 11_000
_CLOSE_S = 0.7


def key(*parts: str) -> str:
    """The ``_id`` that these parts make, unlike that of any others."""
    return json_of(parts)


class Listing(NamedTuple):
    """Which documents are wanted, in which order, how many, and what of them."""

    where: Where
    sort: Sort = ()
    limit: int = 0
    fields: Sequence[str] | None = None


class Asked(NamedTuple):
    """Which fields of documents are read by the value of one field; none: all."""

    name: str
    field: str
    fields: tuple[str, ...]


class Database:
    """The collections of a store.

    Guarantees: a write that returned is on the disks of a majority, and seen by every
    later read. Inserts, updates whose result nobody needs, and reads by one field are
    grouped by collection. Every await ends within the client's deadline, give or take
    a group.

    Raises, from any await, StoreUnavailable ``mongo_unavailable``, never an error of
    the driver.
    """

    def __init__(self, mongo: AsyncDatabase[Document]) -> None:
        self.mongo = mongo
        self._collections: dict[str, AsyncCollection[Document]] = {}
        self._inserts: dict[str, Grouped[Document, bool]] = {}
        self._updates: dict[str, Grouped[UpdateOne, bool]] = {}
        self._reads: dict[Asked, Grouped[str, list[Document]]] = {}

    def collection(self, name: str) -> AsyncCollection[Document]:
        """The driver's collection of this name."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = self.mongo[name]

        return found

    async def insert(self, name: str, document: Document) -> bool:
        """Insert a document; False if a unique index has one like it."""
        group = self._inserts.get(name)
        if group is None:
            group = self._inserts[name] = Grouped(
                f"inserts into {name}", lambda group: self._insert(name, group)
            )

        return await landed(group.say(document))

    async def update(self, name: str, where: Where, change: Change) -> bool:
        """Change the document that is meant, if there is one.

        True if it surely was there; False leaves that open.
        """
        return await landed(self._updating(name).say(UpdateOne(where, change)))

    async def update_each(self, name: str, changes: Mapping[str, Change]) -> None:
        """Change the documents of these ids, as far as they are there."""
        group = self._updating(name)
        ids = changes.items()
        await all_landed(
            [group.say(UpdateOne({"_id": id_}, change)) for id_, change in ids]
        )

    async def changed(self, name: str, where: Where, change: Change) -> bool:
        """Change a document; whether there was one such."""
        with in_our_words():
            done = await whole(self.collection(name).update_one(where, change))

        return done.matched_count == 1

    async def after(
        self, name: str, where: Where, change: Change, *, upsert: bool = False
    ) -> Document | None:
        """Change a document, and what it is then; None if there was none such.

        With ``upsert`` it is made; None then says that another of its id is there.
        """
        with in_our_words():
            try:
                return await whole(
                    self.collection(name).find_one_and_update(
                        where,
                        change,
                        upsert=upsert,
                        return_document=ReturnDocument.AFTER,
                    )
                )
            except DuplicateKeyError:
                return None

    async def delete(self, name: str, where: Where) -> int:
        """Remove the documents that are meant; how many that were."""
        with in_our_words():
            done = await whole(self.collection(name).delete_many(where))

        return done.deleted_count

    async def by_id(
        self, name: str, id_: str, fields: tuple[str, ...] = ()
    ) -> Document | None:
        """The document of this id, or these fields of it."""
        found = await self.having(name, "_id", id_, fields)
        return found[0] if found else None

    async def having(
        self, name: str, field: str, value: str, fields: tuple[str, ...] = ()
    ) -> list[Document]:
        """The documents with this value of a field, by their ids, or these fields."""
        asked = Asked(name, field, fields)
        group = self._reads.get(asked)
        if group is None:
            group = self._reads[asked] = Grouped(
                f"reads of {name}", lambda values: self._read(asked, values)
            )

        return await group.say(value)

    async def one(
        self, name: str, where: Where, fields: Sequence[str] | None = None
    ) -> Document | None:
        """The document that is meant, or these fields of it."""
        return await self.read(self.collection(name).find_one(where, fields))

    async def many(self, name: str, listing: Listing) -> list[Document]:
        """The documents that are meant."""
        cursor = self.collection(name).find(
            listing.where,
            listing.fields,
            sort=listing.sort or None,
            limit=listing.limit,
            batch_size=listing.limit,
        )
        return await self.read(cursor.to_list())

    async def summed(
        self, name: str, where: Where, what: Any, by: str | None = None
    ) -> dict[Any, int]:
        """Sums of an expression over documents, by the values of a field."""
        group = {"_id": by, "sum": {"$sum": what}}
        stages: list[Document] = [{"$match": where}, {"$group": group}]
        found = await self.aggregated(name, stages)
        return {each["_id"]: each["sum"] for each in found}

    async def aggregated(self, name: str, stages: list[Document]) -> list[Document]:
        """What a pipeline makes of a collection."""

        async def reading() -> list[Document]:
            cursor = await self.collection(name).aggregate(stages)
            return await cursor.to_list()

        return await self.read(reading())

    async def read(self, reading: Coroutine[Any, Any, T]) -> T:
        """What this read of the driver's finds."""
        with in_our_words():
            return await aside(reading)

    async def close(self) -> None:
        """Finish what was begun, then close the client. Twice is harmless."""
        for groups in (self._inserts, self._updates, self._reads):
            for group in groups.values():
                await group.finish()

        # The driver leaves the socket of a monitor that is cut while it connects.
        with suppress(PyMongoError), anyio.move_on_after(_CLOSE_S, shield=True):
            await self.mongo.client.admin.command("ping")

        # It says goodbye to the server first, and has no time limit of its own.
        with anyio.CancelScope(shield=True), pymongo.timeout(_CLOSE_S):
            await self.mongo.client.close()

    def _updating(self, name: str) -> Grouped[UpdateOne, bool]:
        group = self._updates.get(name)
        if group is None:
            group = self._updates[name] = Grouped(
                f"updates of {name}", lambda group: self._update(name, group)
            )

        return group

    async def _insert(
        self, name: str, group: list[Document]
    ) -> Sequence[bool | Exception]:
        with in_our_words():
            try:
                await self.collection(name).insert_many(group, ordered=False)
            except BulkWriteError as error:
                return _told(error, len(group))

        return [True] * len(group)

    async def _update(
        self, name: str, group: list[UpdateOne]
    ) -> Sequence[bool | Exception]:
        with in_our_words():
            done = await self.collection(name).bulk_write(group, ordered=False)

        # the server counts them all together
        return [done.matched_count == len(group)] * len(group)

    async def _read(
        self, asked: Asked, values: list[str]
    ) -> Sequence[list[Document] | Exception]:
        found: dict[str, list[Document]] = {value: [] for value in values}
        fields = [*asked.fields, asked.field] if asked.fields else None
        where = {asked.field: {"$in": [*found]}}
        with in_our_words():
            for document in (
                await self.collection(asked.name).find(where, fields).to_list()
            ):
                found[document[asked.field]].append(document)

        for documents in found.values():
            documents.sort(key=lambda document: str(document["_id"]))

        return [found[value] for value in values]


def _told(error: BulkWriteError, count: int) -> list[bool | Exception]:
    """What each of the writers of a group is told of the errors in it."""
    details = error.details
    if details["writeConcernErrors"]:
        raise error

    told: list[bool | Exception] = [True] * count
    for each in details["writeErrors"]:
        duplicate = each["code"] == _DUPLICATE
        told[each["index"]] = False if duplicate else unavailable(error)

    return told
