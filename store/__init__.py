"""What is remembered: a handful of verbs per aggregate, on SQLite or MongoDB."""

from __future__ import annotations

from store.faults import ANY, Chances, FaultKind, Faults, FaultyStore
from store.opening import embedded_engine, open_store
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
    "ANY",
    "Append",
    "Approvals",
    "Budgets",
    "Chances",
    "Cursor",
    "DecisionFilter",
    "Decisions",
    "Definitions",
    "Effects",
    "EventFilter",
    "FaultKind",
    "Faults",
    "FaultyStore",
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
    "embedded_engine",
    "open_store",
]
