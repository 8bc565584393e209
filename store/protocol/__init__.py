"""The store as everybody sees it: a handful of verbs per aggregate.

Guarantees, for every verb of every aggregate:

- *Atomic*: each verb is one atomic statement; what it returns is durable.
- *Tenant*: an explicit parameter; a foreign id is as absent as an unknown one.
- *Deadline*: no verb hangs; StoreUnavailable means that a write may have happened,
  and calling the verb again with the same arguments is harmless.
- *Plain*: what goes in and out are the immutable models of ``contracts``.
- *Time*: times are parameters; the store has no clock of its own.
"""

from __future__ import annotations

from typing import Protocol

from store.protocol.context import ChatContext
from store.protocol.conversations import Conversations, TurnAppend
from store.protocol.decisions import (
    Approvals,
    DecisionFilter,
    Decisions,
    Effects,
    Ledger,
)
from store.protocol.definitions import Definitions
from store.protocol.door_records import DoorRecords
from store.protocol.doors import (
    Budgets,
    Freezes,
    Idempotency,
    Keys,
    MeterUse,
    Policies,
    Workers,
)
from store.protocol.pages import Cursor, Page
from store.protocol.runs import ALL_EVENTS, Append, EventFilter, RunFilter, Runs


class Store(Protocol):
    """Everything that is remembered.

    Guarantees: those of the module, for every aggregate.
    """

    decisions: Decisions
    approvals: Approvals
    effects: Effects
    ledger: Ledger
    runs: Runs
    conversations: Conversations
    definitions: Definitions
    keys: Keys
    freezes: Freezes
    policies: Policies
    budgets: Budgets
    idempotency: Idempotency
    door_records: DoorRecords
    workers: Workers

    async def ping(self) -> None:
        """Raises StoreUnavailable unless a read and a write would work now."""

    async def counts(self) -> dict[str, int]:
        """How many rows each collection holds."""

    async def close(self) -> None:
        """Finish what was begun and close. Twice is harmless."""


__all__ = [
    "ALL_EVENTS",
    "Append",
    "Approvals",
    "Budgets",
    "ChatContext",
    "Conversations",
    "Cursor",
    "DecisionFilter",
    "Decisions",
    "Definitions",
    "DoorRecords",
    "Effects",
    "EventFilter",
    "Freezes",
    "Idempotency",
    "Keys",
    "Ledger",
    "MeterUse",
    "Page",
    "Policies",
    "RunFilter",
    "Runs",
    "Store",
    "TurnAppend",
    "Workers",
]
