"""Templates: JSON in which texts may hold expressions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput
from plans.expressions import compile_template, in_header, in_url, limits

VARIABLES = ("start", "shout", "run", "item")
VALUES: dict[str, Any] = {
    "start": {
        "name": "Ada",
        "n": 3,
        "half": 0.5,
        "nothing": None,
        "yes": True,
        "list": [1, {"a": None}],
        "map": {"b": 1, "a": [True]},
        "sly": "${start.secret} {{ start.secret }}",
        "nasty": '"quoted"\r\nX-Evil: 1 <b>&é/%',
        "nul": "a\0b",
        "big": "x" * 600_000,
    },
    "shout": {"text": "HI"},
}

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


def rendered(template: Any, values: dict[str, Any] = VALUES) -> Any:
    return compile_template(template, VARIABLES).render(values)


def problems(template: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        compile_template(template, VARIABLES)

    told = caught.value.details["problems"]
    return [(problem["pointer"], problem["code"]) for problem in told]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${start.name}", "Ada"),
        ("${start.n}", 3),
        ("${start.nothing}", None),
        ("${start.list}", [1, {"a": None}]),
        ("${start.n + 1}", 4),
        ("Hello ${start.name}!", "Hello Ada!"),
        (" ${start.n}", " 3"),
        ("${start.n}${start.n}", "33"),
        ("<${start.nothing}>", "<>"),
        ("<${start.yes}>", "<true>"),
        ("<${start.half}>", "<0.5>"),
        ("<${start.map}>", '<{"a":[true],"b":1}>'),
        ("${start.name.upperAscii()} and ${shout.text}", "ADA and HI"),
        ("${ {'a': '}'}.a }", "}"),
        ("${'{'}", "{"),
        ('${"\\"}"}', '"}'),
        ("${'''}'''}", "}"),
        ("${r'\\d}'}", "\\d}"),
        ("${'a' // }\n}", "a"),
        ("$${start.name}", "${start.name}"),
        ("a $${b} ${start.n} $${", "a ${b} 3 ${"),
        ("$$${start.name}", "$${start.name}"),
        ("$", "$"),
        ("$ {start.name}", "$ {start.name}"),
        ("{start.name}", "{start.name}"),
        ("}", "}"),
        ({"a": ["${start.n}", {"b": "x${start.n}"}]}, {"a": [3, {"b": "x3"}]}),
        ({"${start.n}": 1}, {"${start.n}": 1}),
        (7, 7),
        (None, None),
        ([], []),
    ],
)
def test_expressions_in_texts_are_replaced_by_their_values(
    template: object, expected: object
) -> None:
    result = rendered(template)

    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ config }}",
        "{% import os %}",
        "{{ start.name }}",
        "#{start.name} <%= start.name %> `id` $(id) $start.name",
    ],
)
def test_c11_every_other_template_language_is_plain_text(template: str) -> None:
    assert rendered(template) == template


def test_c13_what_an_expression_brings_in_is_not_looked_at_again() -> None:
    assert rendered("${start.sly}") == VALUES["start"]["sly"]
    assert rendered("> ${start.sly}") == "> " + VALUES["start"]["sly"]


@pytest.mark.parametrize(
    "template",
    [
        "${start.big}${start.big}",
        ["${start.big}", "${start.big}"],
        {"a": "${[start.big, start.big]}"},
        ["x" * 500_000, "${start.big}"],
        "x${start.big + start.big}",
        ["${start.n}"] * 3 + ["\n" * 300_000, "${start.big}"],
    ],
    ids=range(6),
)
def test_c13_a_template_that_makes_too_much_is_refused(template: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        rendered(template)

    assert caught.value.code == "template_too_large"


def test_c13_a_template_may_make_as_much_as_the_limit_and_not_a_byte_more() -> None:
    room = limits.TEMPLATE_BYTES - len('""')

    assert len(rendered("${start.x}", {"start": {"x": "x" * room}})) == room

    for text in ("x" * (room + 1), "é" * (room // 2 + 1), "\n" * (room // 2 + 1)):
        with pytest.raises(InvalidInput):
            rendered("${start.x}", {"start": {"x": text}})


def test_c14_a_value_stays_within_the_json_text_it_is_put_in() -> None:
    result = rendered({"a": "<${start.nasty}>", "b": "${start.nasty}"})

    assert json.loads(json.dumps(result)) == {
        "a": f"<{VALUES['start']['nasty']}>",
        "b": VALUES["start"]["nasty"],
    }


def test_c14_a_value_is_encoded_for_the_place_it_is_put_in() -> None:
    template = compile_template(
        "https://a.example/${start.nasty}?n=${start.n}", VARIABLES
    )
    header = compile_template("token ${start.nasty}", VARIABLES)
    url = template.render(VALUES, in_url)

    assert url == (
        "https://a.example/%22quoted%22%0D%0AX-Evil%3A%201%20%3Cb%3E%26%C3%A9%2F%25?n=3"
    )
    assert header.render(VALUES, in_header) == (
        'token "quoted"%0D%0AX-Evil: 1 <b>&%C3%A9/%25'
    )


def test_a_text_that_is_one_expression_is_encoded_as_well() -> None:
    template = compile_template(["${start.nasty}", "${start.n}"], VARIABLES)

    assert template.render(VALUES, in_header) == [
        in_header(VALUES["start"]["nasty"]),
        3,
    ]


def test_text_with_a_nul_comes_through_a_plain_path() -> None:
    assert rendered("<${start.nul}>") == "<a\0b>"


def test_all_that_is_wrong_with_a_template_is_told_at_once() -> None:
    template = {
        "a": "${",
        "b": ["${other}", "fine", "${1 +} and ${'a' + 1}"],
        "c/d~e": {"f": "${}"},
        "g": "${'never closed}",
        "h": "${start.n}",
    }

    assert problems(template) == [
        ("/a", "template_syntax"),
        ("/b/0", "cel_unknown_name"),
        ("/b/2", "cel_syntax"),
        ("/b/2", "cel_type"),
        ("/c~1d~0e/f", "cel_syntax"),
        ("/g", "cel_syntax"),
    ]


@pytest.mark.parametrize(
    "text", ["${", "a ${start.name", "${ {'a': 1}", "${'}'", "$${a} ${"]
)
def test_an_expression_that_is_never_closed_is_told(text: str) -> None:
    assert problems(text) == [("/", "template_syntax")]


def test_a_template_that_nests_too_deeply_is_told() -> None:
    template: Any = "x"

    for _ in range(200):
        template = [template]

    ((_, code),) = problems(template)

    assert code == "template_too_large"


def test_a_template_that_is_too_large_is_told() -> None:
    assert problems(["x" * 600_000] * 2) == [("/", "template_too_large")]


def test_the_names_a_template_reads_are_known() -> None:
    template = compile_template(
        {"a": "${start.n} ${run.id}", "b": ["$${shout.text}", "${1 + 1}"]}, VARIABLES
    )

    assert template.names == {"start", "run"}


def test_an_expression_that_fails_fails_the_template() -> None:
    with pytest.raises(InvalidInput) as caught:
        rendered({"a": "x ${start.missing}"})

    assert caught.value.code == "cel_no_such_field"


def test_what_is_rendered_shares_nothing_with_the_template_or_the_values() -> None:
    template = compile_template({"a": [1], "b": "${start.list}"}, VARIABLES)
    first: Any = template.render(VALUES)
    first["a"].append(2)
    first["b"].append(2)

    assert template.render(VALUES) == {"a": [1], "b": [1, {"a": None}]}


@given(JSON.filter(lambda value: "${" not in json.dumps(value, ensure_ascii=False)))
def test_a_template_without_expressions_renders_to_itself(value: Any) -> None:
    template = compile_template(value, VARIABLES)

    assert template.render({}) == value
    assert template.names == frozenset()


@given(JSON)
def test_one_expression_keeps_the_type_of_its_value(value: Any) -> None:
    result = rendered({"a": ["${start.x}"]}, {"start": {"x": value}})

    assert result == {"a": [value]}
    assert json.dumps(result["a"][0]) == json.dumps(value)


@given(st.text(alphabet="${} a", max_size=30))
def test_any_text_can_be_said_by_a_template(text: str) -> None:
    assert rendered(text.replace("${", "$${")) == text


@given(st.text(alphabet="${}'\"\\ ab.\n/", max_size=40))
def test_no_text_makes_the_template_compiler_fail_otherwise(text: str) -> None:
    try:
        compile_template(text, VARIABLES)
    except InvalidInput as error:
        codes = {problem["code"] for problem in error.details["problems"]}
    else:
        codes = set()

    assert all(code.startswith(("cel_", "template_")) for code in codes)
