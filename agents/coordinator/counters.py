"""Counters of what the gate says."""

from __future__ import annotations

from prometheus_client import Counter

from contracts import DecisionRecord, Refused

VERDICTS = Counter(
    "sluicegate_verdicts",
    "Verdicts recorded, by result and by the rule or code that led to it.",
    ["result", "rule"],
)


def count(record: DecisionRecord) -> None:
    """Count a verdict once for each rule it names; a node's own rule as ``node``."""
    verdict = record.verdict
    named = {rule.partition(":")[0] for rule in verdict.rules}
    if isinstance(verdict, Refused) and not named:
        named = {verdict.code}

    for rule in named:
        VERDICTS.labels(verdict.result, rule).inc()
