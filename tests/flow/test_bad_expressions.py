"""Bad expressions (group C): told when saved where they can be, else the step fails."""

from __future__ import annotations

import time
from typing import Any

import pytest

from contracts import JsonObject
from tests.support.definitions import end, start, transform, workflow
from tests.support.serving import Served

ANY = {"type": "object"}
DEEP = "(" * 200 + "1" + ")" * 200
MANY = " + ".join(["1"] * 1_001)


def when(condition: str) -> JsonObject:
    """A workflow with this condition on an edge."""
    body = workflow("w", start(ANY), end(), edges="")
    body["edges"] = [
        {"from": "start", "to": "end", "when": condition},
        {"from": "start", "to": "end", "otherwise": True},
    ]
    return body


def computing(text: Any, name: str = "w") -> JsonObject:
    """A workflow that computes one value."""
    return workflow(
        name,
        start(ANY),
        transform("a", value=text),
        transform("b", value="1"),
        end(value="${a.value}"),
        edges="start a, a b, b end",
    )


SAVED: dict[str, tuple[JsonObject, str]] = {
    "C1 syntax": (when("start.x +"), "cel_syntax"),
    "C1 empty": (when(""), "cel_syntax"),
    "C1 blank": (when("  "), "cel_syntax"),
    "C1 comment": (when("// nothing"), "cel_syntax"),
    "C1 in a template": (computing("${1 +}"), "cel_syntax"),
    "C1 empty in a template": (computing("${}"), "cel_syntax"),
    "C11 not closed": (computing("${start.x"), "template_syntax"),
    "C2 variable": (when("nobody.x == 1"), "cel_unknown_name"),
    "C2 function": (when("frobnicate(start.x)"), "cel_unknown_name"),
    "C4 comparison": (when('1 == "1"'), "cel_type"),
    "C4 sum": (computing('${"a" + 1}'), "cel_type"),
    "C4 no truth": (when("1 + 1"), "cel_type"),
    "C7 length": (when(f"'{'a' * 10_240}' == ''"), "cel_too_complex"),
    "C7 depth": (when(f"{DEEP} == 1"), "cel_too_complex"),
    "C7 nodes": (when(f"{MANY} == 1"), "cel_too_complex"),
    "C16 secret": (computing("${secrets.token}"), "cel_unknown_name"),
    "C17 never ran": (computing("${b.value}"), "unreachable_reference"),
    "C17 itself": (computing("${a.value}"), "unreachable_reference"),
}


@pytest.mark.parametrize("case", SAVED)
async def test_a_bad_expression_is_told_when_it_is_saved(
    shared: Served, case: str
) -> None:
    body, code = SAVED[case]
    before = await shared.counts()

    answer = await shared.api.call("POST", "/workflows", body)

    assert answer.status == 422, answer
    assert code in {answer.code, *answer.codes}, answer
    after = await shared.counts()
    assert {n for n, count in after.items() if count != before[n]} <= {
        "decisions",
        "ledger",
    }


async def test_a_syntax_error_names_its_column(shared: Served) -> None:
    answer = await shared.api.call("POST", "/workflows", when("start.x == == 1"))

    assert answer.code == "cel_syntax"
    assert any(character.isdigit() for character in answer.body["detail"])


async def test_an_unknown_name_is_answered_with_the_known_ones(
    shared: Served,
) -> None:
    answer = await shared.api.call("POST", "/workflows", when("nobody.x == 1"))

    assert "start" in answer.body["detail"]


NESTED = "start.xs.map(a, start.xs.map(b, start.xs.map(c, a + b + c)))"
GROWING = "start.xs.map(a, start.text + start.text + start.text)"

RUN: dict[str, tuple[str, JsonObject, str]] = {
    "C5 missing field": ("${start.missing.inner}", {}, "cel_no_such_field"),
    "C4 types meet": ("${start.x + 1}", {"x": "a"}, "cel_type"),
    "C8 comprehensions": (
        f"${{{NESTED}}}",
        {"xs": [*range(500)]},
        "cel_cost_exceeded",
    ),
    "C10 growth": (
        f"${{{GROWING}}}",
        {"xs": [*range(1_000)], "text": "a" * 20_000},
        "cel_cost_exceeded",
    ),
    "C13 output": (
        "${start.text}" * 20,
        {"text": "a" * 100_000},
        "template_too_large",
    ),
}


@pytest.mark.parametrize("case", RUN)
async def test_what_only_a_run_can_show_fails_its_step(
    served: Served, case: str
) -> None:
    text, given, code = RUN[case]
    body = computing(text)
    body["nodes"][1]["output"] = {"value": text}
    saved = await served.api.call("POST", "/workflows", body)
    if saved.status == 422:
        assert code in saved.codes
        return

    began = time.monotonic()
    run = await served.api.run("w", given)

    assert time.monotonic() - began < 2
    assert run["success"] is False
    assert run["steps_state"]["a"]["error"]["code"] == code


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ config }}",
        "{% import os %}",
        "#{1 + 1}",
        "<b>&amp;</b>",
    ],
)
async def test_other_template_languages_are_plain_text(
    served: Served, text: str
) -> None:
    await served.api.post("/workflows", computing(text))

    run = await served.api.run("w")

    assert run["output"] == {"value": text}


async def test_a_template_in_data_stays_data(served: Served) -> None:
    await served.api.post("/workflows", computing("${start.text}"))
    given = {"text": "${start.secret} ${1 + 1}", "secret": "s"}

    run = await served.api.run("w", given)

    assert run["output"] == {"value": given["text"]}
