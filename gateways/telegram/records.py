"""What this door keeps, by kind, and what stands in each record.

``update``: what came in, open until it is in a conversation's inbox. ``delivery``: a
text on its way out, open until its end is known. ``account``: a person's account and
the key it was bound with. ``code``: a key that was used, and by whom. ``button``: what
pressing it votes, once. ``asked``: an approval whose approvers were asked. ``chat``:
a chat that wants no messages, or moved. ``status``: a run that a chat waits for, and
the message that tells of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from contracts import Clock, DoorRecord, JsonObject, later, stamp
from gateways.telegram.settings import DOOR
from store import DoorRecords

Kind = Literal[
    "update", "delivery", "account", "code", "button", "asked", "chat", "status"
]

_MORE = 4
"""So many times as much is read if all of what was read must wait."""

DAY_S = 86_400.0
KEPT_S = 30 * DAY_S
"""How long an update, a delivery or a button is known."""


class Records:
    """The records of this door for one tenant."""

    def __init__(self, records: DoorRecords, tenant: str, clock: Clock) -> None:
        self._records = records
        self._tenant = tenant
        self._clock = clock

    async def add(
        self,
        kind: Kind,
        name: str,
        body: JsonObject,
        *,
        is_open: bool = False,
        kept_s: float | None = KEPT_S,
    ) -> tuple[DoorRecord, bool]:
        """Keep a record unless its name is taken; the stored one, and if ours."""
        at = stamp(self._clock.now())
        record = DoorRecord(
            tenant=self._tenant,
            door=DOOR,
            kind=kind,
            name=name,
            body=body,
            is_open=is_open,
            at=at,
            expires_at=None if kept_s is None else later(at, kept_s),
        )
        return await self._records.add(record)

    async def get(self, kind: Kind, name: str) -> DoorRecord | None:
        """The record of this name."""
        return await self._records.get(self._tenant, DOOR, kind, name)

    async def waiting(self, kind: Kind, limit: int) -> tuple[DoorRecord, ...]:
        """Open records, first added first."""
        return await self._records.waiting(self._tenant, DOOR, kind, limit=limit)

    async def until_begun(
        self,
        kind: Kind,
        at_once: int,
        begin: Callable[[Sequence[DoorRecord]], Awaitable[bool]],
    ) -> None:
        """Offer what waits to ``begin``: ever more of it, until that began something.

        So what must wait longer holds up nothing behind it.
        """
        limit = at_once
        while True:
            found = await self.waiting(kind, limit)
            if await begin(found) or len(found) < limit:
                return

            limit *= _MORE

    async def named(self, kind: Kind, limit: int) -> tuple[DoorRecord, ...]:
        """All of a kind."""
        return await self._records.named(self._tenant, DOOR, kind, limit=limit)

    async def change(self, record: DoorRecord, **more: Any) -> DoorRecord | None:
        """The next version of a record; None if another changed it before.

        ``is_open`` may be given; anything else is laid over its body.
        """
        is_open = more.pop("is_open", record.is_open)
        update = {
            "version": record.version + 1,
            "body": {**record.body, **more},
            "is_open": is_open,
        }
        changed = record.model_copy(update=update)
        return changed if await self._records.change(changed) else None
