"""Counters of what the run entry does and refuses."""

from __future__ import annotations

from prometheus_client import Counter

PERFORMED = Counter(
    "sluicegate_verdicts_performed", "Verdicts used, by action.", ["action"]
)
REPLAYED = Counter(
    "sluicegate_verdicts_replayed", "Verdicts used again, by audience.", ["audience"]
)
REFUSED = Counter(
    "sluicegate_verdicts_refused", "Verdicts the run entry refused, by code.", ["code"]
)
