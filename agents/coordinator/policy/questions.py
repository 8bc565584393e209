"""Questions to people, and whether those who said yes are enough: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contracts import AskTerms, JsonObject, Question

APPROVER = re.compile(r"(role|subject|key|telegram):[\w.-]{1,200}")
"""How a policy names those who may say yes."""


def voices(facts: JsonObject) -> tuple[JsonObject, ...]:
    """Everybody who said yes: votes on this decision, and standing allowances."""
    return (*facts.get("grants", ()), *facts.get("allowances", ()))


def questions_in(facts: JsonObject) -> tuple[Question, ...]:
    """What the plan itself asks, as ``facts.questions`` tells it."""
    return tuple(
        Question(rule=told["rule"], terms=_terms(told["terms"]))
        for told in facts.get("questions", ())
    )


def _terms(told: JsonObject) -> AskTerms:
    return AskTerms(**{**told, "approvers": tuple(told["approvers"])})


def supporters(terms: AskTerms, said: Iterable[JsonObject], subject: str) -> set[str]:
    """The subjects whose yes counts on these terms; ``subject`` proposed it."""
    wanted = set(terms.approvers)
    counted = {voice["subject"] for voice in said if wanted & {*voice["known_as"]}}
    return counted - {subject} if terms.not_self else counted


def is_satisfied(question: Question, said: Iterable[JsonObject], subject: str) -> bool:
    """Whether enough distinct subjects said yes on the question's own terms."""
    terms = question.terms
    return len(supporters(terms, said, subject)) >= terms.quorum
