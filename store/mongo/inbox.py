"""An inbox: what came from outside, in order of arrival, handled once.

In its owner's document ``arrivals`` counts what arrives, before it lies there, and
gives it its place; ``unheard`` says that something lies unhandled, and ``rings`` counts
how often that was said, both after it lies there. Who takes ``unheard`` away does so
only if nobody has rung since before it looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts import InboxItem
from store.mongo.database import Database, Document, Listing, key

Owner = tuple[str, str]
"""Tenant and id of the run or conversation."""

_RINGS = {"$ifNull": ["$rings", 0]}
_RUNG = {"unheard": True, "rings": {"$add": [_RINGS, 1]}}


class Inbox(NamedTuple):
    """The inboxes of all owners of one kind."""

    database: Database
    owners: str
    """The collection of the owners."""

    items: str
    """The collection of what lies in their inboxes."""

    owner_id: str
    """The field of an item that names its owner."""

    changing: Callable[[Mapping[str, Any]], list[Document]]
    """The update of an owner's document that sets these fields."""

    async def put(self, owner: Owner, item: InboxItem, **more: object) -> bool:
        """Lay an item in; False if it lay there or there is no such owner.

        ``more`` is set in the owner's document as well.
        """
        which = {"_id": key(*owner)}
        counted = await self.database.after(
            self.owners, which, {"$inc": {"arrivals": 1}}
        )
        if counted is None:
            return False

        document = {
            "_id": key(*owner, item.id),
            "tenant": owner[0],
            self.owner_id: owner[1],
            "id": item.id,
            "arrival": counted["arrivals"],
            "handled": False,
            "body": item.model_dump_json(),
        }
        laid = await self.database.insert(self.items, document)
        if laid or await self._lies(document["_id"]):
            rung = self.changing({**_RUNG, **more})
            await self.database.update(self.owners, which, rung)

        return laid

    async def handle(self, owner: Owner, items: Sequence[str]) -> Document:
        """Mark items as handled; what that changes in the owner's document."""
        handled = {"$set": {"handled": True}}
        ids = [key(*owner, item) for item in items]
        await self.database.update_each(self.items, dict.fromkeys(ids, handled))
        seen = await self.database.one(self.owners, {"_id": key(*owner)}, ("rings",))
        left = await self.database.one(self.items, self._unhandled(owner), ("_id",))
        if seen is None or left is not None:
            return {}

        nobody_since = {"$eq": [_RINGS, seen.get("rings", 0)]}
        return {"unheard": {"$cond": [nobody_since, False, "$unheard"]}}

    async def unhandled(self, owner: Owner) -> tuple[InboxItem, ...]:
        """What lies unhandled, in order of arrival."""
        listing = Listing(self._unhandled(owner), (("arrival", 1),), fields=("body",))
        found = await self.database.many(self.items, listing)
        return tuple(InboxItem.model_validate_json(each["body"]) for each in found)

    async def is_full(self, owner: Owner, most: int) -> bool:
        """Whether ``most`` items lie unhandled."""
        listing = Listing(self._unhandled(owner), limit=most, fields=("_id",))
        return len(await self.database.many(self.items, listing)) >= most

    async def select(self, owner: Owner, item_id: str) -> InboxItem | None:
        """One item, handled or not."""
        found = await self.database.one(
            self.items, {"_id": key(*owner, item_id)}, ("body",)
        )
        return None if found is None else InboxItem.model_validate_json(found["body"])

    async def _lies(self, id_: str) -> bool:
        """Whether it lies unhandled: who laid it in may have died before ringing."""
        where = {"_id": id_, "handled": False}
        return await self.database.one(self.items, where, ("_id",)) is not None

    def _unhandled(self, owner: Owner) -> Document:
        return {"tenant": owner[0], self.owner_id: owner[1], "handled": False}
