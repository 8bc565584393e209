"""What an expression is worth, and what is said of one that cannot be worth anything.

The numbers C1 to C10 are those of the list of bad input.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput
from plans.expressions import CEL_WORDS, FUNCTIONS, Expression, compile_expression
from plans.expressions.programs import Rejected, environment
from plans.expressions.trees import Loop, tree_of, walk

VARIABLES = ("start", "shout", "item", "run")
START = {
    "name": "Ada",
    "n": 3,
    "half": 0.5,
    "nothing": None,
    "yes": True,
    "list": [1, 2, 3],
    "map": {"a": {"b": "deep"}},
    "key": "name",
    "with space": 7,
}
VALUES: dict[str, Any] = {"start": START, "shout": {"text": "HI"}}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4)
    ),
    max_leaves=20,
)


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a value, its keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for below in value:
            yield from texts_in(below)
    elif isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from texts_in(below)


def compiled(source: str) -> Expression:
    return compile_expression(source, VARIABLES, wants="any")


def value_of(source: str, values: dict[str, Any] = VALUES) -> Any:
    return compiled(source).evaluate(values)


def refusal(source: str, wants: Any = "any") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        compile_expression(source, VARIABLES, wants=wants)

    return caught.value


def failure(source: str, values: dict[str, Any] = VALUES) -> InvalidInput:
    expression = compiled(source)

    with pytest.raises(InvalidInput) as caught:
        expression.evaluate(values)

    return caught.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("start.name", "Ada"),
        ("start['with space']", 7),
        ("start.`with space`", 7),
        (".start.name", "Ada"),
        ("start.name.upperAscii()", "ADA"),
        ("start.?missing.orValue('none')", "none"),
        ("start.?name.orValue('none')", "Ada"),
        ("start.?map.?a.?b.orValue('none')", "deep"),
        ("start.?n.optMap(x, x + 1).orValue(0)", 4),
        ("[?start.?missing, 1]", [1]),
        ("{?'a': start.?missing, 'b': 2}", {"b": 2}),
        ("has(start.missing)", False),
        ("has(start.map.a)", True),
        ("math.greatest(1, start.n)", 3),
        ("start.list.map(x, x * 2)", [2, 4, 6]),
        ("start.list.filter(x, x > 1)", [2, 3]),
        ("start.list.exists_one(x, x == 2)", True),
        ("[1, 2].map(start, start + 1)", [2, 3]),
        ("[1].map(start, .start.n + start)", [4]),
        ("{'text': start.name, 'n': start.n}", {"text": "Ada", "n": 3}),
        ("start.map", {"a": {"b": "deep"}}),
        ("start.n == 3.0", True),
        ("1u", 1),
        ("b'abc'", "YWJj"),
        ("timestamp('2026-11-21T03:54:40.1236+01:00')", "2026-11-21T02:54:40.123Z"),
        ("timestamp('0001-01-01T00:00:00Z')", "0001-01-01T00:00:00.000Z"),
        ("duration('90m')", "5400s"),
        ("duration('-1.5s')", "-1.500s"),
        ("duration('1us')", "0.000001s"),
        ("'INVALID_ARGUMENT: divide by zero'", "INVALID_ARGUMENT: divide by zero"),
        ("start.name // the name", "Ada"),
    ],
)
def test_an_expression_is_worth_plain_json(source: str, expected: object) -> None:
    assert value_of(source) == expected


@pytest.mark.parametrize(
    ("source", "code", "wants"),
    [
        ("", "cel_syntax", "any"),
        ("   ", "cel_syntax", "any"),
        ("// only a comment", "cel_syntax", "any"),
        ("1 +", "cel_syntax", "any"),
        ("a b", "cel_syntax", "any"),
        ("'never closed", "cel_syntax", "any"),
        ("start.name = 'x'", "cel_syntax", "any"),
        ("has(start)", "cel_syntax", "any"),
        ("for", "cel_syntax", "any"),
        ("'\ud800'", "cel_syntax", "any"),
        ("\0", "cel_syntax", "any"),
        ("other", "cel_unknown_name", "any"),
        ("strat.name", "cel_unknown_name", "any"),
        ("fetch('x')", "cel_unknown_name", "any"),
        ("start.name.eval()", "cel_unknown_name", "any"),
        ("lists.range(9)", "cel_unknown_name", "any"),
        ("google.protobuf.Struct{}", "cel_unknown_name", "any"),
        ("google.protobuf.Timestamp{seconds: 1}", "cel_unknown_name", "any"),
        ("''.__class__", "cel_type", "any"),
        ('1 == "1"', "cel_type", "any"),
        ('"a" + 1', "cel_type", "any"),
        ("true ? 1 : 'a'", "cel_type", "any"),
        ("5.map(x, x)", "cel_type", "any"),
        ("{1.5: 1}", "cel_type", "any"),
        ("type(1)", "cel_type", "any"),
        ("start.?name", "cel_type", "any"),
        ("start[?'name']", "cel_type", "any"),
        ("start[?'name'].first", "cel_type", "any"),
        ("{'a': optional.of(1)}", "cel_type", "any"),
        ("{'a': dyn(optional.none())}", "cel_type", "any"),
        ("[optional.none()]", "cel_type", "any"),
        ("[start.?name][0]", "cel_type", "any"),
        ("start.list.map(x, start[?'a'])", "cel_type", "any"),
        ("start.?a.orValue(start[?'b'])", "cel_type", "any"),
        ("true ? start[?'a'] : 1", "cel_type", "any"),
        ("start.list.first()", "cel_type", "any"),
        ("start.n + 1", "cel_type", "bool"),
        ("'true'", "cel_type", "bool"),
        ("size(start.list)", "cel_type", "bool"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_when_it_is_saved(
    source: str, code: str, wants: str
) -> None:
    assert refusal(source, wants).code == code


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("1 +", 1, 4), ("", 1, 1), ("'é' + $", 1, 7), ("1 +\n  * 2", 2, 3)],
)
def test_c1_a_syntax_error_has_its_line_and_column(
    source: str, line: int, column: int
) -> None:
    error = refusal(source)

    assert error.details == {"line": line, "column": column}
    assert f"line {line}, column {column}" in error.message


def test_c2_an_unknown_variable_is_told_with_those_that_are_known() -> None:
    error = refusal("strat.name == 'x'")

    assert error.details == {"name": "strat", "allowed": sorted(VARIABLES)}
    assert "did you mean start?" in error.message


def test_c2_an_unknown_function_is_told_with_those_that_are_known() -> None:
    error = refusal("start.name.upperAsci()")

    assert error.details["allowed"] == sorted(FUNCTIONS)
    assert "did you mean upperAscii?" in error.message


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_that_is_named_exists(function: str) -> None:
    calls = ("{0}({1})", "start.{0}({1})")
    arguments = ("", "start", "start.x", "i, i", "start, start", "start, start, start")
    said = []

    for call in calls:
        for given_ in arguments:
            try:
                environment(frozenset({"start"})).compile(call.format(function, given_))
            except Rejected as error:
                said.append(str(error))
            else:
                said.append("")

    assert not all("undeclared reference" in text for text in said)


@pytest.mark.parametrize("word", sorted(CEL_WORDS - {"math", "optional", "strings"}))
def test_a_word_of_cel_is_refused_as_a_variable(word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_expression("1", ["start", word], wants="any")

    assert caught.value.code == "reserved_node_id"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("start.missing", "cel_no_such_field"),
        ("start.missing == 1", "cel_no_such_field"),
        ("start.map.x.b", "cel_no_such_field"),
        ("start.name.first", "cel_no_such_field"),
        ("start.nothing.first + 1", "cel_no_such_field"),
        ("start.list[9]", "cel_no_such_field"),
        ("start[start.name]", "cel_no_such_field"),
        ("item", "cel_no_such_field"),
        ("item + 1", "cel_no_such_field"),
        ("start.?missing.value()", "cel_no_such_field"),
        ("start.n + start.name", "cel_type"),
        ("start.n < 'a'", "cel_type"),
        ("start.n.upperAscii()", "cel_type"),
        ("start.list['a']", "cel_no_such_field"),
        ("start.list['a'] == 1", "cel_no_such_field"),
        ("start.name[0]", "cel_type"),
        ("{start.n: 1}", "cel_type"),
        ("{1: 2}", "cel_type"),
        ("[int]", "cel_type"),
        ("start.n / 0", "cel_failed"),
        ("start.name.matches('[')", "cel_failed"),
        ("start.name.substring(9)", "cel_failed"),
        ("timestamp(start.name)", "cel_failed"),
        ("9223372036854775807 + start.n", "cel_failed"),
        ("{'a': 1, 'a': 2}", "cel_failed"),
        ("9007199254740991 + 1", "number_out_of_range"),
        ("[-9007199254740991 - 1]", "number_out_of_range"),
        ("start.half / 0.0", "number_invalid"),
    ],
)
def test_c4_c5_what_goes_wrong_at_run_time_has_a_code_of_its_own(
    source: str, code: str
) -> None:
    assert failure(source).code == code


def test_a_missing_field_is_named() -> None:
    assert "there is no field missing" in failure("start.missing == 1").message
    assert "there is no field missing" in failure("start.missing").message


@pytest.mark.parametrize(
    "source",
    [
        "start.name" + " " * 10_240,
        "'" + "x" * 10_240 + "'",
        "(" * 200 + "1" + ")" * 200,
        "[" * 33 + "]" * 33,
        "start" + ".a" * 40,
        "start.n" + " + 1" * 40,
        " && ".join(["true"] * 600),
        "[" + ",".join(["1"] * 1_000) + "]",
        "(" * 5_000,
        "true ? 1 : " * 60 + "1",
    ],
    ids=len,
)
def test_c7_an_expression_that_is_too_large_is_refused(source: str) -> None:
    assert refusal(source).code == "cel_too_complex"


def test_no_message_shows_more_than_64_characters_of_the_input() -> None:
    secret = "s3cr3t" * 40
    values = {"start": {"name": secret, "n": 1}}
    sources = [f"start.{secret}", f"'{secret}' + 1", f"{secret} + 1", f"'{secret}"]
    told = [refusal(source).message for source in sources[1:]]
    told += [failure(sources[0]).message, failure("start[start.name]", values).message]
    told += [failure("start.name.matches('[' + start.name)", values).message]

    for message in told:
        assert message.count("s3cr3t") * 6 <= 64
        assert len(message) < 200


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("start.name + shout.text", {"start", "shout"}),
        ("'start.name'", set()),
        ("start.shout", {"start"}),
        ("start['shout']", {"start"}),
        ("{'item': 1}", set()),
        ("[1].map(item, item)", set()),
        ("[1].map(item, .item.x + item)", {"item"}),
        ("start.list.exists(item, item == run.x)", {"start", "run"}),
        ("start.?x.optMap(shout, shout + 1).orValue(0)", {"start"}),
        ("run.?x.orValue(item)", {"run", "item"}),
        ("has(start.item)", {"start"}),
        ("type(start.n) == int", {"start"}),
        ("[item].map(item, item)", {"item"}),
    ],
)
def test_the_names_an_expression_reads_are_known(source: str, names: set[str]) -> None:
    assert compiled(source).names == names


def test_the_members_an_expression_reads_are_known() -> None:
    source = "start.map.a.b == 'x' && has(run.id) && shout[item.key] == 1"

    assert compiled(source).paths == {
        ("start", "map", "a", "b"),
        ("run", "id"),
        ("shout",),
        ("item", "key"),
    }


def test_a_condition_holds_only_if_it_is_true() -> None:
    def holds(source: str) -> bool:
        return compile_expression(source, VARIABLES, wants="bool").holds(VALUES)

    assert holds("start.yes")
    assert holds("start.n > 2")
    assert not holds("start.n > 3")

    for source in ("start.n", "start.name", "start.nothing", "start.?n.orValue(1)"):
        with pytest.raises(InvalidInput) as caught:
            holds(source)

        assert caught.value.code == "cel_type"


def test_text_with_a_nul_is_never_taken_for_the_text_before_it() -> None:
    values = {"start": {"path": "safe\0evil", "role\0": "admin", "list": ["a\0b"]}}

    assert value_of("start.path", values) == "safe\0evil"
    assert failure("start.path.startsWith('safe')", values).code == "cel_failed"
    assert failure("'a' in start.list", values).code == "cel_failed"
    assert failure("'role' in start", values).code == "cel_failed"
    assert failure("start.role == 1", values).code == "cel_no_such_field"


def test_half_a_character_is_an_error_and_no_crash() -> None:
    values = {"start": {"name": "\ud800", "list": ["\udc00"], "literal": "\\ud800"}}

    assert failure("start.name + 'x'", values).code == "cel_failed"
    assert failure("'x' in start.list", values).code == "cel_failed"
    assert value_of("start.literal + '!'", values) == "\\ud800!"


@pytest.mark.parametrize("value", [{1, 2}, (1,), object(), 2**63])
def test_what_is_not_json_is_an_error(value: object) -> None:
    assert failure("[start.x]", {"start": {"x": value}}).code in {
        "cel_failed",
        "cel_type",
        "number_out_of_range",
    }


def test_a_value_that_nests_without_end_is_an_error() -> None:
    deep: list[Any] = []

    for _ in range(5_000):
        deep = [deep]

    assert failure("[start.x]", {"start": {"x": deep}}).code == "cel_failed"


def test_the_same_text_over_the_same_names_is_compiled_once() -> None:
    first = compile_expression("start.n > 1", ["start", "run"], wants="bool")

    assert first is compile_expression("start.n > 1", {"run", "start"}, wants="bool")
    assert first is not compile_expression("start.n > 1", ["start"], wants="bool")


def test_the_tree_is_read_as_the_library_writes_it() -> None:
    source = "start.?list.orValue([]).map(x, {'n': -x, 'f': 1.5, 't': [true, null]})"
    program = environment(frozenset({"start"})).compile(source)
    nodes = list(walk(tree_of(program.serialized)))
    (loop,) = (node for node in nodes if isinstance(node, Loop))

    assert loop.names == ("x",)
    assert {getattr(node, "value", None) for node in nodes} >= {"n", 1.5, True, None}


@given(JSON)
def test_a_value_comes_through_an_expression_unchanged(value: Any) -> None:
    assert value_of("start.x", {"start": {"x": value}}) == value


@given(JSON)
def test_a_value_comes_through_the_evaluator_unchanged_or_is_refused(
    value: Any,
) -> None:
    texts = "".join(texts_in(value))
    readable = "\0" not in texts

    if readable:
        assert value_of("[start.x]", {"start": {"x": value}}) == [value]
    else:
        assert failure("[start.x]", {"start": {"x": value}}).code == "cel_failed"


@given(st.text(max_size=80))
def test_no_text_makes_the_compiler_fail_otherwise(source: str) -> None:
    with suppress(InvalidInput):
        compiled(source).evaluate(VALUES)
