"""A policy that cannot be used is refused with everything that is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from agents.coordinator.policy import compile_policy
from contracts import AskTerms, ConfigurationError, Policy, Rule, read

CONFIG = Path(__file__).parents[2] / "config.toml"


def problems_of(*rules: Rule) -> list[dict[str, Any]]:
    with pytest.raises(ConfigurationError) as raised:
        compile_policy(Policy(rules=rules))

    assert raised.value.code == "policy_invalid"
    return list(raised.value.details["problems"])


def allow(when: str, rule_id: str = "r") -> Rule:
    return Rule(id=rule_id, when=when, then="allow")


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("decision.action ==", "cel_syntax"),
        ("nobody.action == 'x'", "cel_unknown_name"),
        ("decision.acton == 'x'", "cel_unknown_name"),
        ("facts.plans.risk == 'high'", "cel_unknown_name"),
        ("'high'", "cel_type"),
        ("1 + 1", "cel_type"),
    ],
)
def test_a_rule_that_can_never_be_judged_is_named(when: str, code: str) -> None:
    (problem,) = problems_of(allow(when, "odd"))

    assert problem["code"] == code
    assert problem["pointer"] == "/gate/rules/0/when"
    assert "odd" in problem["message"]


def test_a_misspelt_member_is_answered_with_the_nearest_one() -> None:
    (problem,) = problems_of(allow("decision.acton == 'x'"))

    assert "Did you mean action?" in problem["message"]


def test_all_problems_of_a_policy_are_named_at_once() -> None:
    found = problems_of(
        allow("1 +", "a"),
        allow("true", "fine"),
        allow("facts.nothing == 1", "b"),
        Rule(id="c", when="true", then="ask", ask=AskTerms(approvers=("bob",))),
    )

    assert [problem["pointer"] for problem in found] == [
        "/gate/rules/0/when",
        "/gate/rules/2/when",
        "/gate/rules/3/ask/approvers/0",
    ]


@pytest.mark.parametrize("approver", ["bob", "role:boss", "role:", "team:x", "key:a b"])
def test_an_approver_nobody_can_be_is_refused(approver: str) -> None:
    terms = AskTerms(approvers=(approver,))

    (problem,) = problems_of(Rule(id="r", when="true", then="ask", ask=terms))

    assert repr(approver) in problem["message"]


def test_no_rule_may_be_called_default() -> None:
    (problem,) = problems_of(allow("true", "default"))

    assert problem["pointer"] == "/gate/rules/0/id"


def test_only_the_facts_that_rules_read_are_asked_for() -> None:
    policy = compile_policy(
        Policy(rules=(allow("facts.plan.risk == 'low' && size(facts.history) < 5"),))
    )
    whole = compile_policy(Policy(rules=(allow("size(facts) > 0"),)))

    assert policy.facts_read == {"plan", "history"}
    assert {"usage", "history"} <= whole.facts_read


def test_the_digest_changes_with_anything_in_the_policy() -> None:
    rules = (allow("true"),)

    digests = {
        compile_policy(Policy(rules=rules)).digest,
        compile_policy(Policy(rules=rules, mode="warn")).digest,
        compile_policy(Policy(rules=rules, default="ask")).digest,
        compile_policy(Policy(rules=(allow("false"),))).digest,
    }

    assert len(digests) == 4


def test_the_shipped_policy_compiles() -> None:
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    gate = {key: config["gate"][key] for key in ("mode", "default", "rules")}

    policy = compile_policy(read(Policy, {**gate, "budgets": config["budgets"]}))

    assert (policy.mode, policy.default) == ("enforce", "deny")
