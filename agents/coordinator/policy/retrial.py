"""A draft policy tried on what was recorded: what would have come out differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from agents.coordinator.policy.compiled import CompiledPolicy
from agents.coordinator.policy.judgement import judge
from contracts import DecisionRecord, JsonObject
from plans.expressions import Expression

REDACTED = "[redacted]"
"""What stands in a record in place of a secret."""


@dataclass(frozen=True, slots=True)
class Retried:
    """One recorded decision under the policy then and under the draft."""

    decision_id: str
    action: str
    old: Literal["approved", "refused", "awaiting"]
    old_rules: tuple[str, ...]
    new: Literal["approved", "refused", "awaiting", "undecidable"]
    rules: tuple[str, ...]
    """The rules of the draft that decide, or those that nobody can decide."""

    @property
    def differs(self) -> bool:
        """Whether the draft would have said something else."""
        return self.old != self.new


def retry(
    records: Iterable[DecisionRecord], draft: CompiledPolicy
) -> Iterator[Retried]:
    """Each recorded judgement beside that of the draft, on the recorded facts.

    What was refused before any rule was asked (not valid, not permitted) is left
    out. Where a rule of the draft reads what the record does not hold, a redacted
    secret or a fact that nobody gathered then, the new result is ``undecidable``.
    """
    for record in records:
        verdict = record.verdict
        if verdict.result != "refused" or verdict.code == "refused":
            yield _retried(record, draft)


def _retried(record: DecisionRecord, draft: CompiledPolicy) -> Retried:
    decision, facts = record.decision.plain(), record.facts
    unclear = tuple(_undecidable({"decision": decision, "facts": facts}, draft))
    judgement = judge(decision, facts, draft)
    return Retried(
        decision_id=record.id,
        action=record.decision.action,
        old=record.verdict.result,
        old_rules=record.rules,
        new="undecidable" if unclear else judgement.result,
        rules=unclear or judgement.rules,
    )


def _undecidable(values: JsonObject, draft: CompiledPolicy) -> Iterator[str]:
    for rule, expression in zip(draft.policy.rules, draft.expressions, strict=True):
        if _touches_what_is_withheld(expression, values):
            yield rule.id


def _touches_what_is_withheld(expression: Expression, values: JsonObject) -> bool:
    withheld = {path for path in expression.paths if _is_withheld(path, values)}
    known = [guard for guard in expression.guards if guard.path not in withheld]
    return bool(withheld) and not any(guard.excludes(values) for guard in known)


def _is_withheld(path: tuple[str, ...], values: JsonObject) -> bool:
    if path[0] == "facts" and len(path) > 1 and path[1] not in values["facts"]:
        return True

    value: Any = values
    for member in path:
        if not isinstance(value, dict) or member not in value:
            return value == REDACTED

        value = value[member]

    return _holds_a_secret(value)


def _holds_a_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_a_secret, value.values()))

    if isinstance(value, list):
        return any(map(_holds_a_secret, value))

    return bool(value == REDACTED)
