"""Keys, freezes, policies, budgets, idempotency keys and workers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from contracts import (
    Capabilities,
    FreezeRow,
    IdempotencyRow,
    KeyRow,
    PolicyRow,
    Reservation,
    Timestamp,
)
from store.protocol.pages import Cursor, Page


class Keys(Protocol):
    """Bearer keys and the subjects behind them.

    Guarantees: one subject per tenant and name; a revoked key stays revoked.
    """

    async def subject(self, tenant: str, name: str, fresh_id: str) -> str:
        """The id of the subject of this name, made with ``fresh_id`` if new."""

    async def create(self, key: KeyRow) -> KeyRow:
        """Insert a key; the stored one if its id was there."""

    async def get(self, key_id: str) -> KeyRow | None:
        """The key of this id, whatever its tenant: the id is what a caller shows."""

    async def page(
        self, tenant: str, *, limit: int, after: Cursor | None = None
    ) -> Page[KeyRow]:
        """Keys, newest first."""

    async def revoke(self, tenant: str, key_id: str, at: Timestamp) -> bool:
        """End a key; False if there is none."""


class Freezes(Protocol):
    """What stands still.

    Guarantees: a freeze is seen by the next read.
    """

    async def set(self, row: FreezeRow) -> None:
        """Freeze; again is harmless."""

    async def clear(self, tenant: str, scope: str, name: str) -> bool:
        """Thaw; False if it was not frozen."""

    async def of(self, tenant: str) -> tuple[FreezeRow, ...]:
        """All freezes of a tenant."""


class Policies(Protocol):
    """The policy that every process follows.

    Guarantees: of two changes from one revision one happens; a change is seen by the
    next read.
    """

    async def current(self, tenant: str) -> PolicyRow | None:
        """The policy in force; None before the first."""

    async def replace(self, row: PolicyRow, *, from_revision: int) -> bool:
        """Put a policy in force if that revision still is; whether it was.

        ``from_revision`` 0 is the first. An own change come back is recognised.
        """


class MeterUse(NamedTuple):
    """How much of a meter a scope has used and set aside in a window."""

    settled: float
    reserved: float


class Budgets(Protocol):
    """Meters and what is set aside of them.

    Guarantees: settled plus reserved never passes a limit; a reservation counts at
    its worst case until it is settled.
    """

    async def reserve(self, reservations: tuple[Reservation, ...]) -> None:
        """Set all of them aside, or none; the same id twice counts once.

        Raises PermanentError ``budget_exceeded`` (details: which).
        """

    async def settle(self, tenant: str, reservation_id: str, amount: float) -> None:
        """Replace a reservation by what was used; once, no harm twice."""

    async def use(
        self, tenant: str, scope: str, scope_id: str, meter: str, window: str
    ) -> MeterUse:
        """How full one meter is."""


class Idempotency(Protocol):
    """Idempotency-Keys and the decisions they name.

    Guarantees: of many claims of one key one is first.
    """

    async def claim(self, row: IdempotencyRow) -> tuple[IdempotencyRow, bool]:
        """Insert the row unless a live one is there; the stored row, and if ours."""

    async def forget(self, tenant: str, subject: str, route: str, key: str) -> None:
        """Remove the row of a request that was refused before execution."""

    async def expire(self, now: Timestamp) -> int:
        """Remove rows whose time is over; how many."""


class Workers(Protocol):
    """Which processes are alive and what they can do, and named leases.

    Guarantees: a lease has one holder until its time is over.
    """

    async def heartbeat(self, capabilities: Capabilities) -> None:
        """Say that a process lives and what it can do."""

    async def alive(self, since: Timestamp) -> tuple[Capabilities, ...]:
        """Processes seen since then, of every role."""

    async def leave(self, worker: str) -> None:
        """Say that a process ends; again is harmless."""

    async def lease(
        self, name: str, owner: str, *, now: Timestamp, until: Timestamp
    ) -> bool:
        """Take or prolong a named lease; False if another holds it."""
