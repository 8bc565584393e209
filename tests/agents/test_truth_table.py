"""The truth table of the gate, row by row."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from agents.coordinator.policy import CompiledPolicy, compile_policy, judge
from contracts import AskTerms, JsonObject, Policy, Rule

YES, NO, BROKEN = "true", "false", "decision.args.nowhere == 1"


def rule(rule_id: str, then: Any, when: str = YES, **terms: Any) -> Rule:
    ask = AskTerms(**terms) if then == "ask" else None
    return Rule(id=rule_id, when=when, then=then, ask=ask)


def policy(
    *rules: Rule, mode: Any = "enforce", default: Any = "deny"
) -> CompiledPolicy:
    return compile_policy(Policy(mode=mode, default=default, rules=rules))


def decision(action: str = "workflow.run", subject: str = "sub_ada") -> JsonObject:
    return {"action": action, "args": {}, "principal": {"subject": subject}}


def voice(subject: str, *known_as: str) -> JsonObject:
    return {"subject": subject, "known_as": list(known_as or ("role:approver",))}


def question(rule_id: str = "node:pay", **terms: Any) -> JsonObject:
    return {"rule": rule_id, "terms": AskTerms(**terms).plain()}


GRANTED = {"grants": [voice("sub_bob")]}
ALLOW, ASK, DENY = rule("may", "allow"), rule("ask-it", "ask"), rule("never", "deny")
OTHER_ASK = rule("ask-too", "ask", approvers=("role:admin",))


class Row(NamedTuple):
    """One row: under these rules and facts, this result by these rules."""

    rules: tuple[Rule, ...]
    result: str
    named: tuple[str, ...]
    facts: JsonObject | None = None
    default: str = "deny"


TABLE = {
    "nothing matches: deny by default": Row((), "refused", ("default",)),
    "nothing matches: allow by default": Row(
        (), "approved", ("default",), default="allow"
    ),
    "nothing matches: ask by default": Row((), "awaiting", ("default",), default="ask"),
    "the default question is answered": Row(
        (), "approved", ("default",), GRANTED, default="ask"
    ),
    "an allow rule that does not hold": Row(
        (rule("may", "allow", NO),), "refused", ("default",)
    ),
    "an allow rule": Row((ALLOW,), "approved", ("may",)),
    "an allow rule, ask by default": Row((ALLOW,), "approved", ("may",), default="ask"),
    "a deny rule": Row((DENY,), "refused", ("never",)),
    "a deny rule that does not hold": Row(
        (rule("never", "deny", NO), ALLOW), "approved", ("may",)
    ),
    "deny beats allow": Row((ALLOW, DENY), "refused", ("never",)),
    "deny beats ask": Row((ASK, DENY), "refused", ("never",)),
    "deny beats an answered question": Row((ASK, DENY), "refused", ("never",), GRANTED),
    "deny beats allow by default": Row((DENY,), "refused", ("never",), default="allow"),
    "every deny rule is named": Row(
        (DENY, ALLOW, rule("nor-this", "deny")), "refused", ("never", "nor-this")
    ),
    "an ask rule": Row((ASK,), "awaiting", ("ask-it",)),
    "ask beats allow": Row((ALLOW, ASK), "awaiting", ("ask-it",)),
    "ask beats allow by default": Row((ASK,), "awaiting", ("ask-it",), default="allow"),
    "all open questions are asked at once": Row(
        (ASK, OTHER_ASK), "awaiting", ("ask-it", "ask-too")
    ),
    "one satisfied question approves": Row((ASK,), "approved", ("ask-it",), GRANTED),
    "allow and a satisfied question approve": Row(
        (ASK, ALLOW), "approved", ("may", "ask-it"), GRANTED
    ),
    "each question wants its own terms": Row(
        (ASK, OTHER_ASK), "awaiting", ("ask-too",), GRANTED
    ),
    "an allowance answers like a grant": Row(
        (ASK,), "approved", ("ask-it",), {"allowances": [voice("sub_bob")]}
    ),
    "a failing allow rule counts as deny": Row(
        (ALLOW, rule("broken", "allow", BROKEN)), "refused", ("broken",)
    ),
    "a failing ask rule counts as deny": Row(
        (ALLOW, rule("broken", "ask", BROKEN)), "refused", ("broken",), GRANTED
    ),
    "a failing deny rule counts as deny": Row(
        (ALLOW, rule("broken", "deny", BROKEN)), "refused", ("broken",)
    ),
    "failing and denying rules are named in order": Row(
        (rule("broken", "allow", BROKEN), DENY), "refused", ("broken", "never")
    ),
    "the plan's own question": Row(
        (), "awaiting", ("node:pay",), {"questions": [question()]}
    ),
    "the plan's own question beats allow": Row(
        (ALLOW,), "awaiting", ("node:pay",), {"questions": [question()]}
    ),
    "the plan's own question is answered": Row(
        (), "approved", ("node:pay",), {"questions": [question()], **GRANTED}
    ),
    "the plan's question beside a rule's": Row(
        (ASK,), "awaiting", ("ask-it", "node:pay"), {"questions": [question()]}
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_every_row_of_the_truth_table_holds(row: Row) -> None:
    given = policy(*row.rules, default=row.default)

    judgement = judge(decision(), row.facts or {}, given)

    assert (judgement.result, judgement.rules) == (row.result, row.named)


@pytest.mark.parametrize(
    ("mode", "rules", "facts", "result", "flags"),
    [
        ("warn", (DENY,), {}, "approved", (True, False)),
        ("warn", (), {}, "approved", (True, False)),
        ("warn", (rule("x", "allow", BROKEN),), {}, "approved", (True, False)),
        ("warn", (ALLOW,), {}, "approved", (False, False)),
        ("warn", (ASK,), {}, "awaiting", (False, False)),
        ("warn", (ASK, DENY), {}, "awaiting", (False, False)),
        ("warn", (ASK, DENY), GRANTED, "approved", (True, False)),
        ("audit", (DENY,), {}, "approved", (True, False)),
        ("audit", (), {}, "approved", (True, False)),
        ("audit", (ASK,), {}, "approved", (False, True)),
        ("audit", (ASK, DENY), {}, "approved", (True, False)),
        ("audit", (ALLOW,), {}, "approved", (False, False)),
    ],
)
def test_warn_and_audit_let_pass_and_say_what_enforce_would_do(
    mode: str,
    rules: tuple[Rule, ...],
    facts: JsonObject,
    result: str,
    flags: tuple[bool, bool],
) -> None:
    judgement = judge(decision(), facts, policy(*rules, mode=mode))

    assert judgement.result == result
    assert (judgement.would_refuse, judgement.would_ask) == flags


@pytest.mark.parametrize("action", ["approval.grant", "approval.refuse"])
def test_a_vote_is_allowed_or_denied_but_never_asked_about(action: str) -> None:
    vote = decision(action)

    assert judge(vote, {}, policy(ASK, ALLOW)).result == "approved"
    assert judge(vote, {}, policy(ALLOW, DENY)).result == "refused"
    assert judge(vote, {}, policy(ASK)).result == "refused"
    assert judge(vote, {}, policy(default="ask")).result == "refused"


def test_an_approval_node_asks_on_its_own_terms_and_no_rule_asks_besides() -> None:
    asked = decision("approval.request")
    facts = {"questions": [question("node:sign_off")]}

    judgement = judge(asked, facts, policy(ASK, default="ask"))

    assert (judgement.result, judgement.rules) == ("awaiting", ("node:sign_off",))


def test_a_quorum_counts_distinct_subjects() -> None:
    two = policy(rule("two", "ask", quorum=2))
    twice = {"grants": [voice("sub_bob"), voice("sub_bob", "role:approver", "key:k")]}
    both = {"grants": [voice("sub_bob"), voice("sub_eve")]}

    assert judge(decision(), twice, two).result == "awaiting"
    assert judge(decision(), both, two).result == "approved"


def test_a_vote_and_an_allowance_of_one_subject_count_once() -> None:
    two = policy(rule("two", "ask", quorum=2))
    facts = {"grants": [voice("sub_bob")], "allowances": [voice("sub_bob")]}

    assert judge(decision(), facts, two).result == "awaiting"


def test_the_proposer_counts_only_where_the_rule_says_so() -> None:
    own = {"grants": [voice("sub_ada")]}

    strict = judge(decision(), own, policy(rule("other", "ask")))
    lenient = judge(decision(), own, policy(rule("any", "ask", not_self=False)))

    assert (strict.result, lenient.result) == ("awaiting", "approved")


@pytest.mark.parametrize(
    "name", ["role:approver", "subject:sub_bob", "key:key_1", "telegram:12345"]
)
def test_approvers_are_known_by_role_subject_key_or_telegram_account(name: str) -> None:
    asking = policy(rule("named", "ask", approvers=(name,)))
    known = {"grants": [voice("sub_bob", name)]}
    stranger = {"grants": [voice("sub_bob", "role:viewer", "key:key_2")]}

    assert judge(decision(), known, asking).result == "approved"
    assert judge(decision(), stranger, asking).result == "awaiting"


def test_an_open_question_carries_its_own_terms() -> None:
    terms = AskTerms(approvers=("role:admin",), quorum=3, expires_s=60)
    three = Rule(id="three", when=YES, then="ask", ask=terms)

    judgement = judge(decision(), {}, policy(three))

    assert judgement.questions[0].terms == terms


def test_a_refused_person_reads_the_message_of_the_rule() -> None:
    told = Rule(id="no", when=YES, then="deny", message="Not on Sundays.")

    assert judge(decision(), {}, policy(told)).message == "Not on Sundays."


def test_rules_read_the_decision_and_the_facts() -> None:
    when = "decision.action == 'tool.call' && facts.plan.risk == 'high'"
    given = policy(rule("risky", "deny", when), ALLOW)

    high = judge(decision("tool.call"), {"plan": {"risk": "high"}}, given)
    low = judge(decision("tool.call"), {"plan": {"risk": "low"}}, given)

    assert (high.result, low.result) == ("refused", "approved")
