"""What is remembered: a handful of verbs per aggregate, on SQLite or MongoDB."""

from __future__ import annotations

from store.protocol import (
    ALL_EVENTS,
    Append,
    Approvals,
    Budgets,
    Cursor,
    DecisionFilter,
    Decisions,
    Definitions,
    Effects,
    EventFilter,
    Freezes,
    Idempotency,
    Keys,
    Ledger,
    MeterUse,
    Page,
    RunFilter,
    Runs,
    Store,
    Workers,
)

__all__ = [
    "ALL_EVENTS",
    "Append",
    "Approvals",
    "Budgets",
    "Cursor",
    "DecisionFilter",
    "Decisions",
    "Definitions",
    "Effects",
    "EventFilter",
    "Freezes",
    "Idempotency",
    "Keys",
    "Ledger",
    "MeterUse",
    "Page",
    "RunFilter",
    "Runs",
    "Store",
    "Workers",
]
