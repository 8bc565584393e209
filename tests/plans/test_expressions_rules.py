"""A set of rules says of each rule what the rule says alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import InvalidInput
from plans.expressions import Expression, RuleSet, compile_expression
from plans.expressions.paths import Shape, project
from plans.expressions.programs import Failed, environment

VARIABLES = ("decision", "facts")
ACTIONS = ("workflow.run", "workflow.save", "tool.call", "message.send", "key.create")

DECISION: dict[str, Any] = {
    "action": "workflow.run",
    "principal": {"kind": "user", "permissions": ["a", "b"], "subject": "sub_1"},
    "args": {"workflow": "greet", "input": {"amount": 3}},
}
FACTS: dict[str, Any] = {
    "plan": {"risk": "high", "nodes": 3},
    "usage": {"tokens": 5},
    "time": {"hour": 12},
    "history": [{"action": "tool.call"}, {"action": "key.create"}],
}

actions = st.sampled_from(ACTIONS).map("'{}'".format)
tests = st.one_of(
    st.builds("decision.action == {}".format, actions),
    st.builds("{} == decision.action".format, actions),
    st.builds("decision.action != {}".format, actions),
    st.builds("decision.action in [{}, {}]".format, actions, actions),
    st.builds("decision.action in [{}, 7]".format, actions),
    st.sampled_from(
        [
            "decision.action in []",
            "decision['action'] == 'tool.call'",
            "decision.action.startsWith('workflow.')",
            "decision.principal.kind == 'user'",
            "decision.principal.kind in ['anonymous', 'system']",
            "'a' in decision.principal.permissions",
            "decision.args.workflow == 'greet'",
            "decision.args.input.amount > 2",
            "has(decision.args.input)",
            "has(decision.missing.below)",
            "!has(facts.frozen)",
            "facts.plan.risk == 'high'",
            "facts.plan.risk == null",
            "facts.usage.tokens > 1",
            "facts.usage.tokens / facts.time.hour > 0",
            "facts.time.hour < 6 || facts.time.hour > 11",
            "facts.history.exists(h, h.action == 'tool.call')",
            "facts.history.exists(h, h.action == decision.action)",
            "facts.history.filter(h, h.action == 'tool.call').size() > 0",
            "{'a': 1, 'a': 2}.a == 1",
            "facts.frozen",
            "facts.?frozen.orValue(false)",
            "true",
            "false",
        ]
    ),
)
rules = st.builds(
    lambda parts, operator: f" {operator} ".join(parts),
    st.lists(tests, min_size=1, max_size=4),
    st.sampled_from(["&&", "&&", "&&", "||"]),
)

scalars: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, 2.5, "high", "user", "greet", "tool.call", "\0", [], {}, "é"]
)
actions_told: st.SearchStrategy[Any] = st.sampled_from(
    [*ACTIONS, None, 5, ["tool.call"], "tool.call\0", {}]
)


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    """Values of which anything may be missing, or of another type."""
    decision = DECISION | {"action": draw(actions_told)}
    values = {"decision": decision, "facts": dict(FACTS)}

    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(["decision", "facts"]))
        member = draw(st.sampled_from(sorted(values[place]) or ["x"]))
        if draw(st.booleans()):
            values[place].pop(member, None)
        else:
            values[place][member] = draw(scalars)

    return values


def condition(source: str, variables: Sequence[str] = VARIABLES) -> Expression:
    return compile_expression(source, variables, wants="bool")


def one_by_one(
    expressions: Sequence[Expression], values: dict[str, Any]
) -> tuple[list[int], list[int]]:
    held, errored = [], []

    for index, expression in enumerate(expressions):
        try:
            if expression.holds(values):
                held.append(index)
        except InvalidInput:
            errored.append(index)

    return held, errored


def by_the_library(source: str, values: dict[str, Any]) -> bool | None:
    """What CEL says of all the values, without any shortcut; None for an error."""
    cel = environment(frozenset(VARIABLES))

    try:
        result = cel.compile(source).run(cel.bind(values))
    except Failed:
        return None

    return result if isinstance(result, bool) else None


@settings(max_examples=300)
@given(st.lists(rules, max_size=12), situations())
def test_a_rule_set_says_what_its_rules_say_one_by_one(
    sources: list[str], values: dict[str, Any]
) -> None:
    expressions = [condition(source) for source in sources]

    assert RuleSet(expressions).matches(values) == one_by_one(expressions, values)


@settings(max_examples=300)
@given(rules, situations())
def test_a_rule_says_what_cel_says_of_all_the_values(
    source: str, values: dict[str, Any]
) -> None:
    if "\0" in repr(values).replace("\\x00", "\0"):
        return

    held, errored = one_by_one([condition(source)], values)

    assert (bool(held), bool(errored)) == {
        True: (True, False),
        False: (False, False),
        None: (False, True),
    }[by_the_library(source, values)]


def test_no_rule_matches_where_there_is_none() -> None:
    assert RuleSet([]).matches({}) == ([], [])


def test_a_rule_that_fails_is_told_and_spoils_no_other() -> None:
    sources = ["true", "facts.missing.x == 1", "facts.time.hour == 12", "1 / 0 == 1"]
    expressions = [condition(source) for source in sources]
    values = {"decision": DECISION, "facts": FACTS}

    assert RuleSet(expressions).matches(values) == ([0, 2], [1, 3])


def test_a_rule_that_is_neither_true_nor_false_is_an_error() -> None:
    expressions = [condition("facts.plan.risk"), condition("facts.time.hour == 12")]
    values = {"decision": DECISION, "facts": FACTS}

    assert RuleSet(expressions).matches(values) == ([1], [0])


def test_rules_that_look_at_what_is_not_there_are_errors_unless_excluded() -> None:
    expressions = [
        condition("decision.args.flow == 'x'"),
        condition("decision.action == 'tool.call' && decision.args.flow == 'x'"),
        condition("decision.args.flow == 'x' && decision.action == 'tool.call'"),
    ]

    assert RuleSet(expressions).matches({"decision": DECISION}) == ([], [0])


def test_rules_over_other_variables_can_stand_in_one_set() -> None:
    expressions = [
        condition("facts.time.hour == 12"),
        condition("facts.time.hour == 12", ["facts", "more"]),
        condition("more == 1", ["facts", "more"]),
    ]

    assert RuleSet(expressions).matches({"facts": FACTS, "more": 1}) == ([0, 1, 2], [])


def test_a_loop_that_is_too_long_for_all_rules_together_is_not_for_each() -> None:
    expressions = [condition(f"facts.list.all(x, x != {n})") for n in (-1, -2, 7)]
    values = {"facts": {"list": list(range(4_000))}}

    assert RuleSet(expressions).matches(values) == ([0, 1], [])


def test_text_with_a_nul_excludes_no_rule_it_should_not() -> None:
    expressions = [
        condition("decision.action == 'tool.call'"),
        condition("decision.action.startsWith('tool.')"),
        condition("facts.time.hour == 12"),
    ]
    values = {"decision": {"action": "tool.call\0"}, "facts": FACTS}

    assert RuleSet(expressions).matches(values) == ([2], [1])


def test_rules_with_comments_and_commas_stay_apart() -> None:
    sources = [
        "true // , false",
        "[false, true][1]",
        "false ? false : true",
        "{'a': true}.a",
    ]
    expressions = [condition(source) for source in sources]

    assert RuleSet(expressions).matches({}) == ([0, 1, 2, 3], [])


@pytest.mark.parametrize("many", [1, 2, 63, 64, 65, 200])
def test_any_number_of_rules_is_judged(many: int) -> None:
    expressions = [condition(f"facts.n == {n}") for n in range(many)]

    for n in (0, many - 1):
        assert RuleSet(expressions).matches({"facts": {"n": n}}) == ([n], [])


def test_rules_as_long_as_they_may_be_are_judged() -> None:
    padding = "'" + "x" * 9_000 + "'"
    expressions = [
        condition(f"{padding} != facts.n && facts.n == {n}") for n in range(9)
    ]

    assert RuleSet(expressions).matches({"facts": {"n": 4}}) == ([4], [])


def test_rules_nested_as_deep_as_they_may_be_are_judged() -> None:
    deep = "(" * 20 + "true" + ")" * 20
    deeper = "facts.n" + " + 1" * 28 + " > 1"
    expressions = [condition(source) for source in (deep, deeper, "facts.n == 1")]

    assert RuleSet(expressions).matches({"facts": {"n": 1}}) == ([0, 1, 2], [])


def test_only_the_rules_of_the_action_are_evaluated() -> None:
    expressions = [
        condition(f"decision.action == 'a{n}' && facts.x == {n}") for n in range(500)
    ]
    read: list[str] = []

    class Facts(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.append(key)
            return super().__getitem__(key)

    values = Facts(decision={"action": "a7"}, facts={"x": 7})

    assert RuleSet(expressions).matches(values) == ([7], [])
    assert len(read) < 10


def test_what_a_rule_does_not_read_is_not_handed_over() -> None:
    shape: Shape = {"facts": {"plan": {"risk": None}}}

    assert project(shape, {"facts": FACTS, "decision": DECISION}) == {
        "facts": {"plan": {"risk": "high"}}
    }


def test_the_order_of_the_answer_is_that_of_the_rules() -> None:
    sources = [f"decision.action == '{action}'" for action in ACTIONS] * 20
    sources += ["facts.time.hour > 1", "decision.principal.kind == 'user'"] * 20
    random.Random(7).shuffle(sources)
    expressions = [condition(source) for source in sources]
    values = {"decision": DECISION, "facts": FACTS}
    held, errored = RuleSet(expressions).matches(values)

    assert held == sorted(held)
    assert (held, errored) == one_by_one(expressions, values)
