"""The judgement: a decision, the facts and a policy give a result, nothing else.

All rules are evaluated. Any match of a deny rule refuses; an expression that fails
counts as such a match. Else every ask rule that matches must be satisfied. Else one
match of an allow rule, or one satisfied question, approves. Else the default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from agents.coordinator.policy.compiled import DEFAULT, CompiledPolicy, Findings
from agents.coordinator.policy.questions import is_satisfied, questions_in, voices
from contracts import AskTerms, JsonObject, Mode, Question


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a policy says of a decision."""

    result: Literal["approved", "refused", "awaiting"]
    rules: tuple[str, ...] = ()
    """The rules that decided, in the policy's order."""

    questions: tuple[Question, ...] = ()
    """What is to be asked, all of it; only if the result is awaiting."""

    message: str = ""
    would_refuse: bool = False
    """Only ``mode`` lets it pass: ``enforce`` would refuse."""

    would_ask: bool = False
    """Only ``mode`` lets it pass: ``enforce`` would ask."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions of a decision: those that are answered, and the others."""

    satisfied: tuple[Question, ...] = ()
    open: tuple[Question, ...] = ()


_NOTHING_ASKED = _Asked()


def judge(decision: JsonObject, facts: JsonObject, policy: CompiledPolicy) -> Judgement:
    """The result for a plain decision and the facts gathered for it.

    ``facts.questions`` are the built-in ask rules of the plan, ``facts.grants`` and
    ``facts.allowances`` those who said yes. Never raises for what a rule does.
    """
    findings = policy.findings(decision, facts)
    asked = _asked(decision, facts, _questions(decision, facts, findings, policy))
    strict = _by_the_table(findings, asked, policy.default)
    return _under(policy.mode, strict, asked)


def _questions(
    decision: JsonObject, facts: JsonObject, findings: Findings, policy: CompiledPolicy
) -> tuple[Question, ...]:
    """What is asked; of ``approval.*`` the policy asks nothing, only the plan does."""
    built_in = questions_in(facts)
    if decision["action"].startswith("approval."):
        return built_in

    asked = (*findings.asking, *built_in)
    if not asked and not findings.allowing and policy.default == "ask":
        return (Question(rule=DEFAULT, terms=AskTerms()),)

    return asked


def _asked(
    decision: JsonObject, facts: JsonObject, questions: tuple[Question, ...]
) -> _Asked:
    if not questions:
        return _NOTHING_ASKED

    said, subject = voices(facts), decision["principal"]["subject"]
    satisfied = tuple(q for q in questions if is_satisfied(q, said, subject))
    return _Asked(satisfied, tuple(q for q in questions if q not in satisfied))


def _by_the_table(findings: Findings, asked: _Asked, default: str) -> Judgement:
    if findings.denying:
        return Judgement("refused", findings.denying, message=findings.message)

    if asked.open:
        return _awaiting(asked)

    passing = (*findings.allowing, *(q.rule for q in asked.satisfied))
    if passing:
        return Judgement("approved", passing)

    if default == "allow":
        return Judgement("approved", (DEFAULT,))

    return Judgement("refused", (DEFAULT,), message="No rule allows this.")


def _awaiting(asked: _Asked) -> Judgement:
    rules = tuple(question.rule for question in asked.open)
    return Judgement("awaiting", rules, asked.open)


def _under(mode: Mode, strict: Judgement, asked: _Asked) -> Judgement:
    """``warn`` lets pass what is refused, ``audit`` also what would be asked."""
    if mode == "enforce" or strict.result == "approved":
        return strict

    if mode == "warn" and asked.open:
        return _awaiting(asked)

    return replace(
        strict,
        result="approved",
        questions=(),
        would_refuse=strict.result == "refused",
        would_ask=strict.result == "awaiting",
    )
