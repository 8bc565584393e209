"""Why a decision was judged as it was: one story a rule, nothing left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from agents.coordinator.policy.compiled import CompiledPolicy
from agents.coordinator.policy.judgement import Judgement, judge
from agents.coordinator.policy.questions import questions_in, supporters, voices
from contracts import AskTerms, InvalidInput, JsonObject, Mode
from plans.expressions import Expression


@dataclass(frozen=True, slots=True)
class RuleStory:
    """What one rule said of a decision, and why."""

    id: str
    then: Literal["allow", "ask", "deny"]
    state: Literal["matched", "not_matched", "errored"]
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A judgement with everything that led to it."""

    result: Literal["approved", "refused", "awaiting"]
    rules: tuple[str, ...]
    """The rules that decided."""

    message: str
    would_refuse: bool
    would_ask: bool
    mode: Mode
    default: str
    policy_digest: str
    stories: tuple[RuleStory, ...]
    """Every rule of the policy in order, then what the plan itself asks."""

    facts: JsonObject

    def plain(self) -> JsonObject:
        """This explanation as plain JSON values."""
        return asdict(self)


def explain(
    decision: JsonObject, facts: JsonObject, policy: CompiledPolicy
) -> Explanation:
    """The judgement on a plain decision and its facts, explained.

    The same answer as ``judge`` gives; dearer, because each rule is asked alone.
    """
    judgement = judge(decision, facts, policy)
    return Explanation(
        result=judgement.result,
        rules=judgement.rules,
        message=judgement.message or _summary(judgement),
        would_refuse=judgement.would_refuse,
        would_ask=judgement.would_ask,
        mode=policy.mode,
        default=policy.default,
        policy_digest=policy.digest,
        stories=tuple(_stories(decision, facts, policy)),
        facts=facts,
    )


def _summary(judgement: Judgement) -> str:
    named = ", ".join(judgement.rules)
    match judgement.result:
        case "approved":
            return f"Approved by {named}."
        case "awaiting":
            return f"A person is asked by {named}."
        case "refused":
            return f"Refused by {named}."


def _stories(
    decision: JsonObject, facts: JsonObject, policy: CompiledPolicy
) -> Iterator[RuleStory]:
    values = {"decision": decision, "facts": facts}
    for rule, expression in zip(policy.policy.rules, policy.expressions, strict=True):
        state, why = _asked_alone(expression, values)
        if state == "matched" and rule.then == "ask":
            why = _asking(decision, facts, rule.terms)

        yield RuleStory(rule.id, rule.then, state, why)

    for question in questions_in(facts):
        why = _support(decision, facts, question.terms)
        yield RuleStory(question.rule, "ask", "matched", why)


def _asked_alone(
    expression: Expression, values: JsonObject
) -> tuple[Literal["matched", "not_matched", "errored"], str]:
    try:
        holds = expression.holds(values)
    except InvalidInput as error:
        return "errored", f"{error.message} Counts as a match of a deny rule."

    told = "is true" if holds else "is not true"
    return ("matched" if holds else "not_matched"), f"{expression.source} {told}"


def _asking(decision: JsonObject, facts: JsonObject, terms: AskTerms) -> str:
    if decision["action"].startswith("approval."):
        return "Not asked: nobody is asked whether people may be asked."

    return _support(decision, facts, terms)


def _support(decision: JsonObject, facts: JsonObject, terms: AskTerms) -> str:
    subject = decision["principal"]["subject"]
    have = sorted(supporters(terms, voices(facts), subject))
    return (
        f"Needs {terms.quorum} of {', '.join(terms.approvers)}"
        f"{', not the proposer' if terms.not_self else ''}; "
        f"has {len(have)}{': ' if have else ''}{', '.join(have)}."
    )
