"""Runs: rows, logs and inboxes behind one aggregate."""

from __future__ import annotations

from typing import Literal

from contracts import InboxItem, Lease, Reservation, RunEvent, RunRow, Timestamp
from store.cursors import Span
from store.protocol import ALL_EVENTS, Append, Cursor, EventFilter, Page, RunFilter
from store.sqlite import run_inbox, run_log, run_rows
from store.sqlite.listing import part_of
from store.sqlite.rows import many, one, unless_refused
from store.sqlite.run_rows import run_of
from store.sqlite.settlements import RecentDecisions
from store.sqlite.writer import Database


class SqliteRuns:
    """Runs in tables ``runs``, ``run_tags``, ``run_events`` and ``run_inbox``."""

    def __init__(self, database: Database, recent: RecentDecisions) -> None:
        self._database = database
        self._recent = recent

    async def create(
        self, run: RunRow, reservations: tuple[Reservation, ...] = ()
    ) -> tuple[RunRow, bool]:
        """See Runs."""
        new = run_rows.new_run(run)
        try:
            result = await self._database.write(
                lambda c: run_rows.insert(c, new, reservations)
            )
        finally:
            self._recent.drop((run.tenant, run.decision_id))

        before = unless_refused(result)
        return (run, True) if before is None else (run_of(before), False)

    async def get(self, tenant: str, run_id: str) -> RunRow | None:
        """See Runs."""
        row = await self._database.read(lambda c: run_rows.select(c, tenant, run_id))
        return None if row is None else run_of(row)

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
        source = run_rows.ALL if where.tag is None else run_rows.BY_TAG
        conditions = {
            "tenant = ?" if where.tag is None else "t.tenant = ?": tenant,
            "t.tag = ?": where.tag,
            "workflow = ?": where.workflow,
            "status = ?": where.status,
            "batch_id = ?": where.batch_id,
            "origin = ?": where.trigger,
            f"{source.at} > ?": where.created_after,
            f"{source.at} < ?": where.created_before,
        }
        span = Span(limit, after, order)
        part = await self._database.read(lambda c: part_of(c, source, conditions, span))
        return Page(tuple(map(run_of, part.rows)), part.next)

    async def claim(
        self, tenant: str, run_id: str, *, owner: str, now: Timestamp, until: Timestamp
    ) -> RunRow | None:
        """See Runs."""
        lease = Lease(owner=owner, until=until)
        row = await self._database.write(
            lambda c: run_rows.claim(c, (tenant, run_id), lease, now)
        )
        return None if row is None else run_of(row)

    async def renew(
        self, tenant: str, run_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """See Runs."""
        lease = Lease(owner=owner, until=until)
        return await self._database.write(
            lambda c: run_rows.renew(c, (tenant, run_id), lease)
        )

    async def release(self, tenant: str, run_id: str, *, owner: str) -> None:
        """See Runs."""
        await self._database.write(
            lambda c: run_rows.release(c, (tenant, run_id), owner)
        )

    async def append(self, tenant: str, run_id: str, append: Append) -> None:
        """See Runs."""
        entries = run_log.prepared(tenant, run_id, append)
        unless_refused(await self._database.write(lambda c: run_log.write(c, entries)))

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
        rows = await self._database.read(
            lambda c: run_log.select(c, tenant, run_id, span)
        )
        return tuple(RunEvent.model_validate_json(body) for (body,) in rows)

    async def event(self, tenant: str, run_id: str, event_id: str) -> RunEvent | None:
        """See Runs."""
        sql = "SELECT body FROM run_events WHERE tenant = ? AND run_id = ? AND id = ?"
        values = (tenant, run_id, event_id)
        row = await self._database.read(lambda c: one(c, sql, values))
        return None if row is None else RunEvent.model_validate_json(row[0])

    async def put(self, tenant: str, run_id: str, item: InboxItem) -> bool:
        """See Runs."""
        return await self._database.write(
            lambda c: run_inbox.put(c, tenant, run_id, item)
        )

    async def item(self, tenant: str, run_id: str, item_id: str) -> InboxItem | None:
        """See Runs."""
        row = await self._database.read(
            lambda c: run_inbox.select(c, tenant, run_id, item_id)
        )
        return None if row is None else InboxItem.model_validate_json(row[0])

    async def drain(self, tenant: str, run_id: str) -> tuple[InboxItem, ...]:
        """See Runs."""
        rows = await self._database.read(
            lambda c: run_inbox.unhandled(c, tenant, run_id)
        )
        return tuple(InboxItem.model_validate_json(body) for (body,) in rows)

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[RunRow, ...]:
        """See Runs."""
        sql = (
            f"SELECT {run_rows.COLUMNS} FROM runs "
            "WHERE due <= ? ORDER BY due, created_at LIMIT ?"
        )
        rows = await self._database.read(lambda c: many(c, sql, (now, limit)))
        return tuple(map(run_of, rows))

    async def abandoned_by_restart(self) -> int:
        """See Runs."""
        return await self._database.write(run_rows.void_leases)

    async def open_counts(self, tenant: str) -> dict[str, int]:
        """See Runs."""
        sql = (
            "SELECT status, count(*) FROM runs WHERE tenant = ? "
            "AND status IN ('queued', 'running', 'paused') GROUP BY status"
        )
        rows = await self._database.read(lambda c: many(c, sql, (tenant,)))
        return dict(rows)
