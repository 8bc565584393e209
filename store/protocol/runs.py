"""Runs, their events and their inboxes."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from contracts import InboxItem, Reservation, RunEvent, RunRow, RunState, Timestamp
from store.protocol.pages import Cursor, Page


class RunFilter(NamedTuple):
    """Which runs a list shows; None shows all."""

    workflow: str | None = None
    status: str | None = None
    batch_id: str | None = None
    trigger: str | None = None
    tag: str | None = None
    created_after: Timestamp | None = None
    created_before: Timestamp | None = None


class EventFilter(NamedTuple):
    """Which events a page shows; empty shows all."""

    types: tuple[str, ...] = ()
    channel: str | None = None
    node_id: str | None = None


ALL_EVENTS = EventFilter()
"""No event is left out."""


class Append(NamedTuple):
    """One append to a run's log and what travels with it."""

    events: tuple[RunEvent, ...]
    writer: str
    """The token of this claim: an own write come back is recognised by it."""

    state: RunState | None = None
    """The projection after the last event, given at pause and end."""

    wake_at: Timestamp | None = None
    handled: tuple[str, ...] = ()
    """Inbox items these events answer."""

    release: bool = False
    """The claim ends with this append."""


class Runs(Protocol):
    """Runs and their logs; the log is the lock.

    Guarantees: ``seq`` is 1..n without gaps; of two writers of one position one
    wins and the other gets SequenceConflict; nothing follows a terminal event.
    Cost does not grow with the number of runs kept.
    """

    async def create(
        self, run: RunRow, reservations: tuple[Reservation, ...] = ()
    ) -> tuple[RunRow, bool]:
        """Insert a run, use its budgets, settle its decision, all or nothing.

        The run of index ``0`` settles: done, with ``{"run_id": …}`` as the result.
        The stored row and whether it is ours: a run of that id may be there already.
        Raises PermanentError ``verdict_expired`` if the decision has ended without
        this run, Conflict ``run_exists`` (details: run_id) if an open run of the
        workflow has the key, PermanentError ``budget_exceeded`` (details: which).
        """

    async def get(self, tenant: str, run_id: str) -> RunRow | None:
        """The row, its projection as last written."""

    async def page(
        self,
        tenant: str,
        where: RunFilter,
        *,
        limit: int,
        after: Cursor | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> Page[RunRow]:
        """Rows by time of creation."""

    async def claim(
        self, tenant: str, run_id: str, *, owner: str, now: Timestamp, until: Timestamp
    ) -> RunRow | None:
        """Take the lease of an open run that nobody holds (or whose time is over).

        None if it is held, ended or not there. An own claim come back is recognised
        by its ``owner`` and ``until``.
        """

    async def renew(
        self, tenant: str, run_id: str, *, owner: str, until: Timestamp
    ) -> bool:
        """Prolong our lease; False if it is no longer ours."""

    async def release(self, tenant: str, run_id: str, *, owner: str) -> None:
        """Give our lease back; no harm if it is not ours."""

    async def append(self, tenant: str, run_id: str, append: Append) -> None:
        """Write events at their positions, in order, all or a prefix.

        Raises SequenceConflict if a position is taken by another writer, one before
        it is empty, or the run has ended; our own write come back is no conflict.
        Raises NotFound if there is no such run.
        """

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
        """Events after a seq (before it, if ``desc`` and not 0), at most ``limit``."""

    async def event(self, tenant: str, run_id: str, event_id: str) -> RunEvent | None:
        """One event."""

    async def put(self, tenant: str, run_id: str, item: InboxItem) -> bool:
        """Lay something into a run's inbox; False if the same item lay there.

        False also if there is no such run.
        """

    async def item(self, tenant: str, run_id: str, item_id: str) -> InboxItem | None:
        """What lies, or lay, in the inbox under this natural key: who was first."""

    async def drain(self, tenant: str, run_id: str) -> tuple[InboxItem, ...]:
        """What lies unhandled in the inbox, in order of arrival."""

    async def stale(self, now: Timestamp, *, limit: int) -> tuple[RunRow, ...]:
        """Open runs of all tenants that want a worker and have none.

        Queued or running without a live lease, paused and due, or paused with
        something unhandled in the inbox. Oldest first.
        """

    async def abandoned_by_restart(self) -> int:
        """Void every lease: nobody else can hold one. How many there were.

        Only an embedded store, which one process owns, does it; others return 0.
        """

    async def open_counts(self, tenant: str) -> dict[str, int]:
        """How many runs there are by open status."""
