"""A run's inbox: what came from outside, in order of arrival, handled once.

In the run's document ``arrivals`` counts what arrives, before it lies there, and gives
it its place; ``unheard`` says that something lies unhandled, and ``rings`` counts how
often that was said, both after it lies there. Who takes ``unheard`` away does so only
if nobody has rung since before it looked.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts import InboxItem
from store.mongo.database import Database, Document, Listing, key
from store.mongo.run_log import RunId
from store.mongo.run_rows import changing

_RINGS = {"$ifNull": ["$rings", 0]}
_RUNG = {"unheard": True, "rings": {"$add": [_RINGS, 1]}}


async def put(database: Database, run: RunId, item: InboxItem) -> bool:
    """Lay an item in; False if it lay there or there is no such run."""
    which = {"_id": key(*run)}
    counted = await database.after("runs", which, {"$inc": {"arrivals": 1}})
    if counted is None:
        return False

    document = {
        "_id": key(*run, item.id),
        "tenant": run[0],
        "run_id": run[1],
        "id": item.id,
        "arrival": counted["arrivals"],
        "handled": False,
        "body": item.model_dump_json(),
    }
    laid = await database.insert("run_inbox", document)
    if laid or await _lies(database, document["_id"]):
        await database.update("runs", which, changing(_RUNG))

    return laid


async def handle(database: Database, run: RunId, items: Sequence[str]) -> Document:
    """Mark items as handled; what that changes in the run's document."""
    handled = {"$set": {"handled": True}}
    ids = [key(*run, item) for item in items]
    await database.update_each("run_inbox", dict.fromkeys(ids, handled))
    seen = await database.one("runs", {"_id": key(*run)}, ("rings",))
    left = await database.one("run_inbox", _unhandled(run), ("_id",))
    if seen is None or left is not None:
        return {}

    nobody_since = {"$eq": [_RINGS, seen.get("rings", 0)]}
    return {"unheard": {"$cond": [nobody_since, False, "$unheard"]}}


async def unhandled(database: Database, run: RunId) -> tuple[InboxItem, ...]:
    """What lies unhandled, in order of arrival."""
    listing = Listing(_unhandled(run), (("arrival", 1),), fields=("body",))
    found = await database.many("run_inbox", listing)
    return tuple(InboxItem.model_validate_json(each["body"]) for each in found)


async def select(database: Database, run: RunId, item_id: str) -> InboxItem | None:
    """One item, handled or not."""
    found = await database.one("run_inbox", {"_id": key(*run, item_id)}, ("body",))
    return None if found is None else InboxItem.model_validate_json(found["body"])


async def _lies(database: Database, id_: str) -> bool:
    """Whether it lies unhandled: whoever laid it in may have died before ringing."""
    where = {"_id": id_, "handled": False}
    return await database.one("run_inbox", where, ("_id",)) is not None


def _unhandled(run: RunId) -> Document:
    return {"tenant": run[0], "run_id": run[1], "handled": False}
