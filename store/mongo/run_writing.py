"""Appending to logs, applying what appends change, repairing what nobody applied."""

from __future__ import annotations

from contracts import NotFound, SequenceConflict
from store.appends import unless_gaps
from store.caches import Recent
from store.mongo import run_log
from store.mongo.database import Database, Document, key
from store.mongo.inbox import Inbox
from store.mongo.run_log import BEGINNING, End, RunId
from store.mongo.run_rows import changing
from store.protocol import Append

_KNOWN = 4_096
"""Logs whose end we remember because we wrote it."""


class Logs:
    """The logs of all runs, as this process writes them.

    The end of a log that this process wrote last is remembered: what stands never
    changes, so the position after it is free or another's, and the insert tells.
    """

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox
        self._ends: Recent[RunId, End] = Recent(_KNOWN)

    def begun(self, run: RunId) -> None:
        """Remember that this run is there, its log empty as far as we know."""
        self._ends.put(run, BEGINNING)

    async def append(self, run: RunId, append: Append) -> None:
        """See Runs."""
        unless_gaps(append)
        if not append.events:
            await self._beside(run, append)
            return

        await self._append(run, append)

    async def repaired(self, run: RunId) -> Document | None:
        """The last append of a log, now applied for certain; None of an empty one."""
        entry = await run_log.last_entry(self._database, run)
        if entry is not None:
            await self._written(run, entry)

        return entry

    async def is_applied(self, run: RunId, row: Document) -> bool:
        """Whether a row is what the last append of its log made of it."""
        entry = await run_log.last_entry(self._database, run)
        if entry is None:
            self.begun(run)
        elif row["applied"] < entry["last"] and run_log.changes_something(entry):
            return False
        else:
            self._ends.put(run, run_log.end_of(entry))

        return True

    async def _append(self, run: RunId, append: Append) -> None:
        first = append.events[0].seq
        end = self._ends.get(run)
        if end is None or end.last + 1 != first:
            end = await self._end(run)

        if end.ended or end.last + 1 != first:
            await self._go_on(run, append)
            return

        for entry in run_log.entries_of(run, append):
            if not await self._database.insert("run_events", entry):
                await self._go_on(run, append)
                return

            await self._written(run, entry)

    async def _written(self, run: RunId, entry: Document) -> None:
        await self._apply(run, entry, entry["last"])
        self._ends.put(run, run_log.end_of(entry))

    async def _go_on(self, run: RunId, append: Append) -> None:
        """Finish our own append come back. Raises SequenceConflict if it is none."""
        count, entry = await run_log.come_back(self._database, run, append)
        if entry is None:
            self._ends.drop(run)
            raise SequenceConflict

        await self._written(run, entry)
        rest = append.events[count:]
        if rest:
            await self._append(run, append._replace(events=rest))

    async def _beside(self, run: RunId, append: Append) -> None:
        """Change what no event tells; only the last writer may."""
        end = await self._end(run)
        if end.ended or end.last == 0 or end.writer != append.writer:
            raise SequenceConflict

        await self._apply(run, run_log.changes_of(append), end.last, again=True)

    async def _end(self, run: RunId) -> End:
        """Where a log ends now. Raises NotFound if there is no such run."""
        entry = await self.repaired(run)
        if entry is not None:
            return run_log.end_of(entry)

        if await self._database.one("runs", {"_id": key(*run)}, ("_id",)) is None:
            raise NotFound("There is no such run.")

        return BEGINNING

    async def _apply(
        self, run: RunId, entry: Document, last: int, *, again: bool = False
    ) -> None:
        """Change the run's document as an append says, unless it has been done."""
        changes = dict(entry.get("changes", {}))
        if entry.get("handled"):
            changes |= await self._inbox.handle(run, entry["handled"])

        if run_log.changes_something(entry):
            sign = "$lte" if again else "$lt"
            which = {"_id": key(*run), "applied": {sign: last}}
            await self._database.update(
                "runs", which, changing({**changes, "applied": last})
            )
