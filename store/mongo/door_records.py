"""What doors keep, in one collection."""

from __future__ import annotations

from contracts import DoorRecord, Timestamp
from store.mongo.database import Database, Document, Listing, key

_RECORDS = "door_records"
_ARRIVALS = "door_arrivals"
_BODY = ("body",)


def _id(record: DoorRecord) -> str:
    return key(record.tenant, record.door, record.kind, record.name)


def _changing(record: DoorRecord) -> Document:
    return {
        "version": record.version,
        "is_open": record.is_open,
        "expires_at": record.expires_at,
        "body": record.model_dump_json(),
    }


class MongoDoorRecords:
    """DoorRecords in collection ``door_records``.

    An open one is given its place by a count in ``door_arrivals`` before it is added;
    a closed one needs none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: DoorRecord) -> tuple[DoorRecord, bool]:
        """See DoorRecords."""
        before = await self._stored(_id(record))
        if before is not None:
            return before, False

        document = {
            "_id": _id(record),
            "tenant": record.tenant,
            "door": record.door,
            "kind": record.kind,
            "name": record.name,
            "arrival": await self._arrival(record) if record.is_open else 0,
            **_changing(record),
        }
        if await self._database.insert(_RECORDS, document):
            return record, True

        return await self._stored(_id(record)) or record, False

    async def get(
        self, tenant: str, door: str, kind: str, name: str
    ) -> DoorRecord | None:
        """See DoorRecords."""
        return await self._stored(key(tenant, door, kind, name))

    async def change(self, record: DoorRecord) -> bool:
        """See DoorRecords."""
        before = {"version": record.version - 1}
        own = {"version": record.version, "body": record.model_dump_json()}
        return await self._database.changed(
            _RECORDS,
            {"_id": _id(record), "$or": [before, own]},
            {"$set": _changing(record)},
        )

    async def waiting(
        self, tenant: str, door: str, kind: str, *, limit: int
    ) -> tuple[DoorRecord, ...]:
        """See DoorRecords."""
        where = {"tenant": tenant, "door": door, "kind": kind, "is_open": True}
        return await self._many(Listing(where, (("arrival", 1),), limit, _BODY))

    async def named(
        self, tenant: str, door: str, kind: str, *, limit: int, after: str = ""
    ) -> tuple[DoorRecord, ...]:
        """See DoorRecords."""
        where = {"tenant": tenant, "door": door, "kind": kind, "name": {"$gt": after}}
        return await self._many(Listing(where, (("name", 1),), limit, _BODY))

    async def expire(self, now: Timestamp) -> int:
        """See DoorRecords."""
        over = {"expires_at": {"$gt": "", "$lte": now}}
        return await self._database.delete(_RECORDS, over)

    async def _arrival(self, record: DoorRecord) -> int:
        which = {"_id": key(record.tenant, record.door, record.kind)}
        one_more = {"$inc": {"n": 1}}
        while True:
            counted = await self._database.after(
                _ARRIVALS, which, one_more, upsert=True
            )
            if counted is not None:
                return int(counted["n"])

    async def _stored(self, id_: str) -> DoorRecord | None:
        found = await self._database.by_id(_RECORDS, id_, _BODY)
        return None if found is None else _record(found)

    async def _many(self, listing: Listing) -> tuple[DoorRecord, ...]:
        return tuple(map(_record, await self._database.many(_RECORDS, listing)))


def _record(document: Document) -> DoorRecord:
    return DoorRecord.model_validate_json(document["body"])
