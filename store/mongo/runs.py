"""Runs: documents, logs and inboxes behind one aggregate."""

from __future__ import annotations

from typing import Literal

from contracts import (
    Conflict,
    InboxItem,
    Outcome,
    PermanentError,
    Reservation,
    RunEvent,
    RunRow,
    Timestamp,
)
from contracts.failpoints import reach
from store.cursors import Span
from store.mongo import run_log
from store.mongo.budgets import Meters
from store.mongo.database import Database, Document, Listing, key
from store.mongo.inbox import Inbox
from store.mongo.listing import part_of
from store.mongo.outbox import settle
from store.mongo.run_rows import ALL, FIELDS, OPEN, changing, end_of, new_row, run_of
from store.mongo.run_writing import Logs
from store.mongo.schema import PRESENT
from store.protocol import ALL_EVENTS, Append, Cursor, EventFilter, Page, RunFilter

_CLAIMS = 3
"""How often a claim may find that the append before it gave the lease back."""


class MongoRuns:
    """Runs in collections ``runs``, ``run_events`` and ``run_inbox``."""

    def __init__(self, database: Database, meters: Meters) -> None:
        self._database = database
        self._meters = meters
        self._inbox = Inbox(database, "runs", "run_inbox", "run_id", changing)
        self._logs = Logs(database, self._inbox)

    async def create(
        self, run: RunRow, reservations: tuple[Reservation, ...] = ()
    ) -> tuple[RunRow, bool]:
        """See Runs."""
        before = await self._before(run) if reservations else None
        if before is None:
            before = await self._insert(run, reservations)
            reach("B3")

        stored = run if before is None else before
        if await self._is_honoured(stored):
            await self._meters.use_up(reservations)
            return stored, before is None

        await self._take_back(stored, reservations)
        raise PermanentError(code="verdict_expired")

    async def get(self, tenant: str, run_id: str) -> RunRow | None:
        """See Runs."""
        found = await self._database.by_id("runs", key(tenant, run_id), FIELDS)
        return None if found is None else run_of(found)

    async def page(
        self,
        tenant: str,
        where: RunFilter,
        *,
        limit: int,
        after: Cursor | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> Page[RunRow]:
        """See Runs."""
        times = {"$gt": where.created_after, "$lt": where.created_before}
        conditions = {
            "tenant": tenant,
            "tags": where.tag,
            "workflow": where.workflow,
            "status": where.status,
            "batch_id": where.batch_id,
            "origin": where.trigger,
            "created_at": {s: time for s, time in times.items() if time} or None,
        }
        span = Span(limit, after, order)
        part = await part_of(self._database, ALL, conditions, span)
        return Page(tuple(map(run_of, part.documents)), part.next)

    async def claim(
        self, tenant: str, run_id: str, *, owner: str, now: Timestamp, until: Timestamp
    ) -> RunRow | None:
        """See Runs."""
        ours = {"lease_owner": owner, "lease_until": until}
        which = {
            "_id": key(tenant, run_id),
            "status": {"$in": OPEN},
            "$or": [{"lease_until": None}, {"lease_until": {"$lte": now}}, ours],
        }
        for _ in range(_CLAIMS):
            row = await self._database.after("runs", which, changing(ours))
            if row is None:
                return None

            if await self._logs.is_applied((tenant, run_id), row):
                return await self._to_drive(row)

            await self._logs.repaired((tenant, run_id))

        return None

    async def renew(
        self, tenant: str, run_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """See Runs."""
        which = {"_id": key(tenant, run_id), "lease_owner": owner}
        return await self._database.changed(
            "runs", which, changing({"lease_until": until})
        )

    async def release(self, tenant: str, run_id: str, *, owner: str) -> None:
        """See Runs."""
        which = {"_id": key(tenant, run_id), "lease_owner": owner}
        free = changing({"lease_owner": None, "lease_until": None})
        await self._database.update("runs", which, free)

    async def append(self, tenant: str, run_id: str, append: Append) -> None:
        """See Runs."""
        await self._logs.append((tenant, run_id), append)

    async def events(  # noqa: PLR0913 - one question of an HTTP caller
        self,
        tenant: str,
        run_id: str,
        *,
        after: int = 0,
        limit: int,
        where: EventFilter = ALL_EVENTS,
        order: Literal["asc", "desc"] = "asc",
    ) -> tuple[RunEvent, ...]:
        """See Runs."""
        span = run_log.EventSpan(after, limit, where, order)
        return await run_log.select(self._database, (tenant, run_id), span)

    async def event(self, tenant: str, run_id: str, event_id: str) -> RunEvent | None:
        """See Runs."""
        where = {"tenant": tenant, "run_id": run_id, "ids": event_id}
        found = await self._database.one("run_events", where, ("ids", "events"))
        if found is None:
            return None

        return RunEvent.model_validate_json(
            found["events"][found["ids"].index(event_id)]
        )

    async def put(self, tenant: str, run_id: str, item: InboxItem) -> bool:
        """See Runs."""
        return await self._inbox.put((tenant, run_id), item)

    async def item(self, tenant: str, run_id: str, item_id: str) -> InboxItem | None:
        """See Runs."""
        return await self._inbox.select((tenant, run_id), item_id)

    async def drain(self, tenant: str, run_id: str) -> tuple[InboxItem, ...]:
        """See Runs."""
        return await self._inbox.unhandled((tenant, run_id))

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[RunRow, ...]:
        """See Runs."""
        listing = Listing(
            {"due": {**PRESENT, "$lte": now}},
            (("due", 1), ("created_at", 1)),
            limit,
            FIELDS,
        )
        return tuple(map(run_of, await self._database.many("runs", listing)))

    async def abandoned_by_restart(self) -> int:
        """See Runs; here other processes may hold leases, so their time decides."""
        return 0

    async def open_counts(self, tenant: str) -> dict[str, int]:
        """See Runs."""
        where = {"tenant": tenant, "status": {"$in": OPEN}}
        return await self._database.summed("runs", where, 1, "$status")

    async def _before(self, run: RunRow) -> RunRow | None:
        return await self.get(run.tenant, run.id)

    async def _insert(
        self, run: RunRow, reservations: tuple[Reservation, ...]
    ) -> RunRow | None:
        """Reserve for a run and insert it; the one that was there before, if one was.

        Raises Conflict ``run_exists``, PermanentError ``budget_exceeded``.
        """
        if reservations:
            await self._unless_key_taken(run, reservations)

        await self._meters.reserve(reservations)
        while not await self._database.insert("runs", new_row(run)):
            before = await self._before(run)
            if before is not None:
                return before

            await self._unless_key_taken(run, reservations)

        self._logs.begun((run.tenant, run.id))
        return None

    async def _is_honoured(self, run: RunRow) -> bool:
        """Whether a run's decision ended with it, now or before."""
        end = end_of(run)
        if end is None:
            return True

        stays = await settle(self._database, run.tenant, end)
        # Another version may have written the same in other words.
        return stays == end.outcome or _outcome(stays) == _outcome(end.outcome)

    async def _to_drive(self, row: Document) -> RunRow | None:
        """A claimed run; None if its decision had ended before it was made.

        Whoever made it may be slow, or dead, between the run and the decision's end.
        """
        run = run_of(row)
        if row["applied"] or await self._is_honoured(run):
            return run

        await self._take_back(run, ())
        return None

    async def _take_back(
        self, run: RunRow, reservations: tuple[Reservation, ...]
    ) -> None:
        """Remove a run whose decision had ended before; one that began stays."""
        unbegun = {"_id": key(run.tenant, run.id), "applied": 0}
        await self._database.delete("runs", unbegun)
        if await self._before(run) is None:
            await self._meters.give_back(reservations)

    async def _unless_key_taken(
        self, run: RunRow, reservations: tuple[Reservation, ...]
    ) -> None:
        """Raises Conflict ``run_exists``; then nothing stays reserved for the run."""
        holder = None if run.key is None else await self._holder(run)
        if holder is not None:
            # also what an earlier try reserved, which did not come to insert it
            await self._meters.give_back(reservations)
            raise Conflict(code="run_exists", details={"run_id": holder})

    async def _holder(self, run: RunRow) -> str | None:
        """The open run that has the key, if it is open indeed."""
        which = {
            "tenant": run.tenant,
            "workflow": run.workflow,
            "open_key": run.key,
        }
        found = await self._database.one("runs", which, ("id",))
        if found is None:
            return None

        last = await self._logs.repaired((run.tenant, found["id"]))
        return None if last is not None and last["ended"] else str(found["id"])


def _outcome(text: str) -> Outcome:
    return Outcome.model_validate_json(text)
