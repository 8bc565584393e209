"""Time as the system sees it: a clock that is given, and times as text.

A ``Timestamp`` is UTC with milliseconds, always 24 characters, so that text order
is time order and its canonical form is itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

from pydantic import StringConstraints

Timestamp = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
]
"""UTC time with milliseconds: ``2026-11-21T03:54:40.123Z``."""


class Clock(Protocol):
    """Where time comes from; tests give their own.

    Guarantees: ``monotonic`` never goes back; ``now`` may jump with the wall clock.
    """

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC. Never raises."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this process. Never raises."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds. Raises only cancellation."""


def stamp(moment: datetime) -> Timestamp:
    """A moment as text, cut (not rounded) to milliseconds."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:23] + "Z"


def moment(stamp_: Timestamp) -> datetime:
    """The aware UTC moment of a timestamp."""
    return datetime.fromisoformat(stamp_).astimezone(UTC)


def later(stamp_: Timestamp, seconds: float) -> Timestamp:
    """The timestamp so many seconds after another."""
    return stamp(moment(stamp_) + timedelta(seconds=seconds))


def seconds_between(earlier: Timestamp, later_: Timestamp) -> float:
    """Seconds from the first timestamp to the second; negative if it is before."""
    return (moment(later_) - moment(earlier)).total_seconds()
