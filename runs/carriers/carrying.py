"""What it means to carry an approved decision out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from contracts import Approved, Decision, DecisionRecord, JsonObject, Timestamp


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a verdict: the entry has checked everything in it."""

    approved: Approved
    record: DecisionRecord
    index: str
    at: Timestamp

    @property
    def decision(self) -> Decision:
        """What was decided."""
        return self.record.decision

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.approved.tenant


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of it: what is kept, and what is only shown this once."""

    result: JsonObject
    shown_once: JsonObject = field(default_factory=dict)


class Carrier(Protocol):
    """Carries out one action.

    Guarantees: carrying the same decision out twice has the effect of once, so a
    crash at any moment is repaired by doing it again.
    """

    async def __call__(self, use: Use, /) -> Carried:
        """Do it. Raises SluicegateError if it cannot be done."""
