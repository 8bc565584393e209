"""Which processes are alive and what they can do, and named leases."""

from __future__ import annotations

from contracts import Capabilities, Timestamp, later
from store.mongo.database import Database, Listing

_FORGET_AFTER_S = 86_400
"""A worker that has not been seen for so long will not come back."""


class MongoWorkers:
    """Workers in collections ``capabilities`` and ``leases``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heartbeat(self, capabilities: Capabilities) -> None:
        """See Workers."""
        seen_at = capabilities.seen_at
        said = {"seen_at": seen_at, "body": capabilities.model_dump_json()}
        which = {"_id": capabilities.worker}
        gone = {"seen_at": {"$lt": later(seen_at, -_FORGET_AFTER_S)}}
        await self._database.after("capabilities", which, {"$set": said}, upsert=True)
        await self._database.delete("capabilities", gone)

    async def alive(self, since: Timestamp) -> tuple[Capabilities, ...]:
        """See Workers."""
        listing = Listing(
            {"seen_at": {"$gte": since}}, (("seen_at", 1),), fields=("body",)
        )
        found = await self._database.many("capabilities", listing)
        return tuple(Capabilities.model_validate_json(each["body"]) for each in found)

    async def leave(self, worker: str) -> None:
        """See Workers."""
        await self._database.delete("capabilities", {"_id": worker})

    async def lease(
        self, name: str, owner: str, *, now: Timestamp, until: Timestamp
    ) -> bool:
        """See Workers."""
        free = {"_id": name, "$or": [{"owner": owner}, {"until": {"$lte": now}}]}
        ours = {"$set": {"owner": owner, "until": until}}
        taken = await self._database.after("leases", free, ours, upsert=True)
        return taken is not None
