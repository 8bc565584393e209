"""Explaining a judgement, and trying a draft policy on what was recorded."""

from __future__ import annotations

from typing import Any

from agents.coordinator.policy import (
    CompiledPolicy,
    Retried,
    compile_policy,
    explain,
    retry,
)
from contracts import (
    AskTerms,
    Channel,
    Decision,
    DecisionRecord,
    JsonObject,
    Policy,
    Principal,
    Proposer,
    Refused,
    Rule,
    new_id,
)

AT = "2026-11-21T03:54:40.123Z"


def policy(*rules: tuple[str, Any, str], **more: Any) -> CompiledPolicy:
    made = tuple(Rule(id=i, then=then, when=when) for i, then, when in rules)
    return compile_policy(Policy(rules=made, **more))


def plain(action: str = "tool.call", **args: Any) -> JsonObject:
    return recorded(action, args=args).decision.plain()


def recorded(
    action: Any = "tool.call",
    *,
    args: JsonObject | None = None,
    facts: JsonObject | None = None,
    code: str = "refused",
) -> DecisionRecord:
    """A decision that the rule ``old`` refused."""
    decision = Decision(
        id=new_id("dec"),
        action=action,
        args=args or {},
        proposer=Proposer(kind="user", id="ada"),
        principal=Principal(
            id="key",
            kind="api_key",
            subject="sub_ada",
            permissions=(),
            tenant="default",
        ),
        channel=Channel(kind="http"),
        not_after=AT,
        created_at=AT,
    )
    verdict = Refused(
        id=new_id("vrd"),
        decision_id=decision.id,
        code=code,
        message="",
        rules=("old",),
        issued_at=AT,
    )
    return DecisionRecord(
        decision=decision,
        decision_digest="d",
        action_digest="a",
        message_id=new_id("msg"),
        correlation_id="c",
        verdict=verdict,
        facts=facts or {},
        policy_digest="p",
        rules=("old",),
        recorded_at=AT,
        state="refused",
    )


def tried(record: DecisionRecord, draft: CompiledPolicy) -> Retried:
    (result,) = retry([record], draft)
    return result


def test_every_rule_says_whether_it_matched_and_why() -> None:
    told = explain(
        plain(),
        {"plan": {"risk": "high"}},
        policy(
            ("may", "allow", "decision.action == 'tool.call'"),
            ("other", "deny", "decision.action == 'key.create'"),
            ("broken", "deny", "facts.plan.nothing == 1"),
            ("risky", "ask", "facts.plan.risk == 'high'"),
        ),
    )

    assert [(s.id, s.state) for s in told.stories] == [
        ("may", "matched"),
        ("other", "not_matched"),
        ("broken", "errored"),
        ("risky", "matched"),
    ]
    assert "counts as a match of a deny rule" in told.stories[2].why.lower()
    assert "has 0" in told.stories[3].why
    assert (told.result, told.rules) == ("refused", ("broken",))


def test_an_answered_question_names_who_answered() -> None:
    facts = {"grants": [{"subject": "sub_bob", "known_as": ["role:approver"]}]}

    told = explain(plain(), facts, policy(("risky", "ask", "true")))

    assert told.stories[0].why.endswith("has 1: sub_bob.")
    assert told.message == "Approved by risky."


def test_what_the_plan_itself_asks_is_told_like_a_rule() -> None:
    facts = {"questions": [{"rule": "node:pay", "terms": AskTerms().plain()}]}

    told = explain(plain(), facts, policy(("may", "allow", "true")))

    assert [s.id for s in told.stories] == ["may", "node:pay"]
    assert (told.result, told.rules) == ("awaiting", ("node:pay",))


def test_an_explanation_is_plain_json_with_the_facts() -> None:
    facts = {"plan": {"risk": "low"}}

    told = explain(plain(), facts, policy(default="allow")).plain()

    assert told["facts"] == facts
    assert told["stories"] == ()
    assert told["rules"] == ("default",)


def test_a_draft_shows_what_would_have_come_out_otherwise() -> None:
    result = tried(recorded(), policy(("new", "allow", "true")))

    assert (result.old, result.old_rules) == ("refused", ("old",))
    assert (result.new, result.rules) == ("approved", ("new",))
    assert result.differs


def test_what_was_never_judged_is_not_tried() -> None:
    invalid = recorded(code="not_found")

    assert list(retry([invalid], policy(("new", "allow", "true")))) == []


def test_a_rule_that_touches_a_redacted_secret_is_undecidable() -> None:
    record = recorded(args={"input": {"pin": "[redacted]", "to": "bob"}})
    reads_it = policy(("pin", "deny", "decision.args.input.pin == '1234'"))
    reads_all = policy(("any", "deny", "size(decision.args.input) > 3"))
    reads_more = policy(("to", "allow", "decision.args.input.to == 'bob'"))

    assert tried(record, reads_it).new == "undecidable"
    assert tried(record, reads_it).rules == ("pin",)
    assert tried(record, reads_all).new == "undecidable"
    assert tried(record, reads_more).new == "approved"


def test_a_rule_on_a_fact_nobody_gathered_then_is_undecidable() -> None:
    draft = policy(("spent", "deny", "facts.usage.tenant.tokens.day > 5.0"))

    result = tried(recorded(facts={"plan": {}}), draft)

    assert (result.new, result.rules) == ("undecidable", ("spent",))


def test_a_rule_for_another_action_decides_nothing_here() -> None:
    when = "decision.action == 'key.create' && facts.usage.tenant.tokens.day > 5.0"
    draft = policy(("spent", "deny", when), ("may", "allow", "true"))

    assert tried(recorded(), draft).new == "approved"
