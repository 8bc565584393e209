"""No expression takes long: what would is refused before it is begun.

The estimate is counted, so most of this needs no stop-watch.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from contracts import InvalidInput
from plans.expressions import compile_expression, limits
from plans.expressions.cost import TooCostly, afford
from plans.expressions.patterns import cost_of_pattern
from plans.expressions.programs import environment
from plans.expressions.trees import Node, tree_of

LONGEST_MS = 100
"""What an evaluation may take, be it refused or not."""

BIG: dict[str, Any] = {
    "xs": list(range(9_999)),
    "more": list(range(20_000)),
    "hundred": list(range(100)),
    "text": "x" * 1_000_000,
    "short": "x" * 1_000,
    "words": ["abc" * 10] * 9_000,
    "pattern": "(?i)" + "\\pL?" * 50_000,
    "orders": [
        {
            "id": n,
            "name": f"order {n}",
            "email": f"user{n}@example.org",
            "lines": [{"sku": "abc", "qty": 1}] * 5,
        }
        for n in range(500)
    ],
}

REFUSED = [
    "start.more.all(x, x >= 0)",
    "start.hundred.all(x, start.hundred.all(y, x + y >= 0))",
    "start.hundred.all(x, start.hundred.all(y, start.hundred.all(z, x + y + z >= 0)))",
    "start.xs.all(x, start.xs.all(y, x + y >= 0))",
    "start.xs.map(x, x)",
    "start.xs.filter(x, x in start.xs)",
    "start.xs.map(x, start.text)",
    "start.xs.map(x, start.short + start.short)",
    "start.hundred.all(x, start.text == start.text)",
    "start.hundred.all(x, start.words == start.words)",
    "start.xs.all(x, !start.text.matches('.*y.*'))",
    "start.xs.all(x, start.text.contains('y') || true)",
    "'a'.matches(start.pattern)",
    "start.hundred.all(x, 'a'.matches('^(a|b)+[0-9]{0,1000}$'))",
    "start.text.split('')",
    "start.text.replace('x', start.short)",
    "start.words.join(start.text)",
    "start.hundred.map(x, '%s%s%s'.format([start.text, start.text, start.text]))",
    "['x']" + ".map(a, a + a)" * 24,
    "[['x']]" + ".map(a, a + a)" * 20,
    "'x'" + ".replace('x', 'xxxxxxxxxx')" * 7,
    "'%s%s%s%s%s%s%s%s'.format(['" + "x" * 900 + "'])" + ".replace('x', 'xxxxxx')" * 5,
]

TAKEN = [
    "start.xs.all(x, x >= 0)",
    "start.xs.exists(x, x == 5)",
    "start.xs.exists_one(x, x == 5)",
    "start.hundred.map(x, x * 2)",
    "start.hundred.map(x, '%d of %d'.format([x, 100])).join(', ')",
    "start.orders.map(o, {'id': o.id, 'name': o.name.upperAscii()})",
    "start.orders.filter(o, o.email.matches('^[^@]+@[^@]+$'))",
    "start.orders.map(o, o.email.split('@')[1]).filter(h, h != 'example.com')",
    "start.orders.all(o, o.lines.all(l, l.qty > 0))",
    "start.orders.exists(o, o.id == start.hundred[7])",
    "start.words.join(',')",
    "start.text + start.text",
    "size(start.xs) + size(start.text)",
    "start.text.matches('x*y')",
    "'%s'.format([start.short])",
]


def code_and_ms(source: str) -> tuple[str, float]:
    expression = compile_expression(source, ["start"], wants="any")
    began = time.perf_counter()

    try:
        expression.evaluate({"start": BIG})
        code = ""
    except InvalidInput as error:
        code = error.code

    return code, (time.perf_counter() - began) * 1_000


def tree(source: str) -> Node:
    return tree_of(environment(frozenset({"start"})).compile(source).serialized)


@pytest.mark.parametrize("source", REFUSED)
def test_c8_c10_what_would_cost_too_much_is_refused_at_once(source: str) -> None:
    code, ms = min(code_and_ms(source) for _ in range(2))

    assert code == "cel_cost_exceeded"
    assert ms < LONGEST_MS


@pytest.mark.parametrize("source", TAKEN)
def test_what_people_write_is_taken(source: str) -> None:
    code, ms = min(code_and_ms(source) for _ in range(3))

    assert code == ""
    assert ms < LONGEST_MS


def test_the_cost_of_collecting_grows_with_the_square_of_the_list() -> None:
    def cost(many: int) -> int:
        return afford(tree("start.map(x, x)"), {"start": list(range(many))})

    assert cost(1_000) > 3 * cost(500)

    with pytest.raises(TooCostly):
        cost(3_000)


def test_the_rounds_of_nested_loops_are_multiplied_up_to_the_librarys_own_limit() -> (
    None
):
    def cost(many: int) -> int:
        source = "start.all(x, start.all(y, x != y))"
        return afford(tree(source), {"start": list(range(many))})

    assert cost(40) > 3 * cost(20)
    assert cost(1_000) < 2 * cost(100)


def test_what_is_only_asked_for_costs_the_same_whatever_its_size() -> None:
    small = afford(tree("has(start.x)"), {"start": {"x": 1}})

    assert small == afford(tree("has(start.x)"), {"start": {"x": BIG["text"]}})


def test_the_weight_of_a_field_is_not_that_of_the_whole() -> None:
    orders = [{"id": n, "note": "x" * 10_000} for n in range(200)]
    cost = afford(tree("start.map(o, o.id).size()"), {"start": orders})

    assert cost < limits.COST / 20


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [
        ("abc", "abcabc"),
        ("a{2}", "a{200}"),
        ("(a{10}){2}", "(a{10}){20}"),
        ("abc", "(?i)abc"),
        ("[a-z]", "\\pL"),
    ],
)
def test_a_pattern_costs_what_it_is_once_written_out(cheaper: str, dearer: str) -> None:
    assert cost_of_pattern(cheaper) < cost_of_pattern(dearer)


@pytest.mark.parametrize(
    ("source", "weighed"),
    [
        ("start.a == 'x' && start.b.c in ['y', 'z'] && !has(start.d)", False),
        ("start.history.exists(h, h.action == 'x' && h.by in ['a', 'b'])", False),
        ("start.path.matches('^/safe/[a-z]+$')", False),
        ("size(start.list) > 3 && start.name.startsWith('x')", False),
        ("start.history.exists(h, h.action == start.action)", True),
        ("start.list.map(x, x)", True),
        ("start.path.matches(start.pattern)", True),
        ("start.text.replace('a', 'b')", True),
        ("start.list.all(x, start.list.all(y, y == 1))", True),
        (" && ".join(["start.n + 1 > 0"] * 20), True),
    ],
)
def test_only_what_could_be_costly_is_weighed(source: str, weighed: bool) -> None:
    expression = compile_expression(source, ["start"], wants="any")

    assert expression.is_weighed is weighed
