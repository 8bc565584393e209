"""What doors keep: claimed once, changed one after the other, worked off in order."""

from __future__ import annotations

from typing import Protocol

from contracts import DoorRecord, Timestamp


class DoorRecords(Protocol):
    """Records of doors, each under a name that its door gives it.

    Guarantees: of many who add one name one is first; of two changes from one version
    one happens; open records are worked off in the order in which they were added.
    Cost does not grow with the records that are closed.
    """

    async def add(self, record: DoorRecord) -> tuple[DoorRecord, bool]:
        """Insert a record unless its name is taken; the stored one, and if ours."""

    async def get(
        self, tenant: str, door: str, kind: str, name: str
    ) -> DoorRecord | None:
        """The record of this name."""

    async def change(self, record: DoorRecord) -> bool:
        """Replace a record by its next version; False if another did so before.

        ``record.version`` is the new one, one more than what was read. An own change
        come back is recognised.
        """

    async def waiting(
        self, tenant: str, door: str, kind: str, *, limit: int
    ) -> tuple[DoorRecord, ...]:
        """Open records, first added first."""

    async def named(
        self, tenant: str, door: str, kind: str, *, limit: int, after: str = ""
    ) -> tuple[DoorRecord, ...]:
        """All records of a kind in the order of their names, after a name."""

    async def expire(self, now: Timestamp) -> int:
        """Remove records whose time is over; how many."""
