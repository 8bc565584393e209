"""Compiles a policy, and names everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterator

from agents.coordinator.policy.compiled import DEFAULT, CompiledPolicy
from agents.coordinator.policy.questions import APPROVER
from contracts import (
    ROLES,
    AskTerms,
    ConfigurationError,
    Decision,
    InvalidInput,
    Policy,
    Problem,
    Rule,
    invalid,
    nearest,
)
from plans.expressions import Expression, RuleSet, compile_expression

FACTS = frozenset(
    "allowances approval freeze grants history plan questions time usage".split()
)
"""Everything a rule may read below ``facts``."""

_MEMBERS = {"decision": frozenset(Decision.model_fields), "facts": FACTS}


def compile_policy(policy: Policy) -> CompiledPolicy:
    """The policy, ready to judge.

    Raises ConfigurationError (``policy_invalid``); its details hold every problem,
    each with a pointer below ``/gate``.
    """
    problems: list[Problem] = []
    expressions = [_compiled(n, rule, problems) for n, rule in enumerate(policy.rules)]
    for n, rule in enumerate(policy.rules):
        problems += _problems_of(n, rule)

    if problems:
        error = invalid(problems)
        raise ConfigurationError(
            f"The policy is not valid: {error.message}", details=error.details
        )

    good = tuple(e for e in expressions if e is not None)
    return CompiledPolicy(
        policy=policy,
        digest=policy.digest,
        expressions=good,
        rule_set=RuleSet(good),
        facts_read=_facts_read(good),
    )


def _compiled(n: int, rule: Rule, problems: list[Problem]) -> Expression | None:
    at = f"/gate/rules/{n}/when"
    try:
        expression = compile_expression(rule.when, _MEMBERS, wants="bool")
    except InvalidInput as error:
        message = f"rule {rule.id}: {error.message}"
        problems.append(Problem(pointer=at, code=error.code, message=message))
        return None

    problems += _unknown_members(at, rule, expression)
    return expression


def _unknown_members(at: str, rule: Rule, expression: Expression) -> Iterator[Problem]:
    for variable, *members in sorted(expression.paths):
        if members and members[0] not in _MEMBERS[variable]:
            near = nearest(members[0], _MEMBERS[variable])
            told = f"rule {rule.id}: there is no {variable}.{members[0]}.{near}"
            yield Problem(pointer=at, code="cel_unknown_name", message=told)


def _problems_of(n: int, rule: Rule) -> Iterator[Problem]:
    if rule.id == DEFAULT:
        told = f"{DEFAULT!r} names what gate.default says; a rule has another id."
        yield Problem(pointer=f"/gate/rules/{n}/id", code="invalid", message=told)

    if rule.then == "ask":
        yield from _unknown_approvers(n, rule, rule.terms)


def _unknown_approvers(n: int, rule: Rule, terms: AskTerms) -> Iterator[Problem]:
    for i, approver in enumerate(terms.approvers):
        kind, _, name = approver.partition(":")
        known = kind != "role" or name in ROLES
        if not APPROVER.fullmatch(approver) or not known:
            near = nearest(name, ROLES) if kind == "role" else ""
            told = (
                f"rule {rule.id}: {approver!r} is nobody; write role:NAME, subject:ID, "
                f"key:ID or telegram:ID.{near}"
            )
            at = f"/gate/rules/{n}/ask/approvers/{i}"
            yield Problem(pointer=at, code="invalid", message=told)


def _facts_read(expressions: tuple[Expression, ...]) -> frozenset[str]:
    """The members of ``facts`` that are read; all of them where it is read whole."""
    paths = {p for e in expressions for p in e.paths if p[0] == "facts"}
    return FACTS if ("facts",) in paths else frozenset(path[1] for path in paths)
