"""How long the Redis bus waits for what, and how much it takes, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Durations in seconds, and one number of messages; tests give smaller ones."""

    deadline_s: float = 2.0
    """A command that is not answered in this time has failed."""

    block_s: float = 2.0
    """A reader waits for messages at most so long before it asks again."""

    margin_s: float = 1.5
    """So much later than ``block_s`` a reader's connection is taken for dead."""

    min_idle_s: float = 15.0
    """A consumer that says nothing of a message for so long has lost it."""

    claim_s: float = 5.0
    """So often a subscription looks for lost messages and says what it holds."""

    pulse_s: float = 1.0
    """So often a process looks whether the bus still holds what it was given."""

    backlog_s: float = 0.25
    """A producer's picture of how far the groups lag is at most so old."""

    reconnect_s: float = 1.0
    """The longest pause between two tries to reach Redis."""

    grace_s: float = 0.05
    """A closing subscription waits so long for a read that may hold messages."""

    consumer_idle_s: float = 3_600.0
    """A consumer that holds nothing and is silent for so long is forgotten."""

    capacity: int = 10_000
    """Producers are refused while a group lags behind by so many messages."""
