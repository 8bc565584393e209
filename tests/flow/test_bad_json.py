"""Bad JSON and bodies (group J): each the stated problem, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import JsonObject, new_id
from tests.support.api import Answer
from tests.support.definitions import greet
from tests.support.serving import Served

BODIES: dict[str, tuple[bytes, int, str]] = {
    "J1 empty": (b"", 400, "json_invalid"),
    "J1 blanks": (b" \n ", 400, "json_invalid"),
    "J1 null": (b"null", 422, "type_error"),
    "J1 list": (b"[]", 422, "type_error"),
    "J1 text": (b'"x"', 422, "type_error"),
    "J1 number": (b"1", 422, "type_error"),
    "J1 half": (b'{"action": ', 400, "json_invalid"),
    "J3 byte order mark": (b"\xef\xbb\xbf{}", 400, "json_not_utf8"),
    "J3 UTF-16": ("{}".encode("utf-16"), 400, "json_not_utf8"),
    "J3 UTF-16 without mark": ("{}".encode("utf-16-le"), 400, "json_not_utf8"),
    "J3 stray byte": (b'{"action": "\xff"}', 400, "json_not_utf8"),
    "J3 half a pair": (b'{"reason": "\\ud800"}', 400, "json_invalid"),
    "J4 at the top": (
        b'{"action": "a", "action": "b"}',
        400,
        "json_duplicate_key",
    ),
    "J4 inside": (b'{"args": {"a": 1, "a": 2}}', 400, "json_duplicate_key"),
    "J4 by an escape": (b'{"args": {"a": 1, "\\u0061": 2}}', 400, "json_duplicate_key"),
    "J6 5,000 digits": (b'{"args": ' + b"9" * 5_000 + b"}", 422, "number_out_of_range"),
    "J6 2^63": (b'{"args": {"n": 9223372036854775808}}', 422, "number_out_of_range"),
    "J6 -2^63-1": (
        b'{"args": {"n": -9223372036854775809}}',
        422,
        "number_out_of_range",
    ),
    "J6 1e400": (b'{"args": {"n": 1e400}}', 422, "number_out_of_range"),
    "J6 NaN": (b'{"args": {"n": NaN}}', 400, "json_invalid"),
    "J9 keys": (
        b"{" + b",".join(b'"%x":0' % n for n in range(100_001)) + b"}",
        422,
        "too_many_items",
    ),
    "J9 items": (b'{"args": [' + b"0," * 100_001 + b"0]}", 422, "too_many_items"),
    "J9 a million items": (b"[" + b"0," * 1_000_000 + b"0]", 413, "body_too_large"),
    "J10 1 MiB of text": (
        json.dumps({"reason": "a" * (1_048_576 + 1)}).encode(),
        413,
        "body_too_large",
    ),
    "H28 garbage behind": (b"{} x", 400, "json_trailing_data"),
    "H28 two objects": (b"{}{}", 400, "json_trailing_data"),
    "depth": (b'{"args": ' + b"[" * 70 + b"]" * 70 + b"}", 400, "json_too_deep"),
    "depth of 100,000": (b"[" * 100_000, 400, "json_too_deep"),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("path", ["/decisions", "/runs", "/workflows"])
async def test_a_body_that_cannot_be_read_is_refused_unread(
    shared: Served, path: str, case: str
) -> None:
    data, status, code = BODIES[case]
    before = await shared.counts()

    answer = await shared.api.call("POST", path, data=data)

    assert (answer.status, answer.code) == (status, code), answer
    assert len(json.dumps(answer.body)) < 2_000
    assert await shared.counts() == before


FIELDS: dict[str, tuple[str, JsonObject, int, str]] = {
    "J7 1.0": ("/runs", {"workflow": "greet", "version": 1.0}, 422, "type_error"),
    "J7 text": ("/runs", {"workflow": "greet", "version": "1"}, 422, "type_error"),
    "J7 true": ("/runs", {"workflow": "greet", "version": True}, 422, "type_error"),
    "J7 zero": ("/runs", {"workflow": "greet", "version": 0}, 422, "out_of_range"),
    "J10": (
        "/decisions",
        {"action": "workflow.run", "reason": "a" * 2_001},
        422,
        "string_too_long",
    ),
    "J12 NUL": ("/runs", {"workflow": "a\u0000b"}, 422, "forbidden_character"),
    "J12 bell": ("/runs", {"workflow": "a\u0007b"}, 422, "forbidden_character"),
    "J12 line": ("/runs", {"workflow": "a\u2028b"}, 422, "forbidden_character"),
    "J12 bidi": ("/runs", {"workflow": "a\u202eb"}, 422, "forbidden_character"),
    "J12 zero-width": ("/runs", {"workflow": "a\u200bb"}, 422, "forbidden_character"),
    "J12 in a tag": (
        "/runs",
        {"workflow": "a", "tags": ["\u0000"]},
        422,
        "forbidden_character",
    ),
    "J13": ("/runs", {"workflow": "greet", "inputs": {}}, 422, "unknown_field"),
    "J15": (
        "/decisions",
        {"action": "run.cancel", "args": {"run_id": {"$ne": None}}},
        422,
        "type_error",
    ),
    "J15 in a name": ("/runs", {"workflow": {"$gt": ""}}, 422, "type_error"),
    "J18": ("/runs", {"workflow": "greet", "timeout_s": -5}, 422, "out_of_range"),
    "J18 1e9": ("/runs", {"workflow": "greet", "timeout_s": 1e9}, 422, "out_of_range"),
    "J18 -5s": (
        "/runs",
        {"workflow": "greet", "timeout_s": "-5s"},
        422,
        "out_of_range",
    ),
    "J18 P1Y": (
        "/runs",
        {"workflow": "greet", "timeout_s": "P1Y"},
        422,
        "out_of_range",
    ),
    "unknown action": ("/decisions", {"action": "run.explode"}, 422, "action_unknown"),
    "unknown id form": (
        "/decisions",
        {"action": "run.cancel", "args": {"run_id": "run_x"}},
        400,
        "invalid_id",
    ),
    "both named": (
        "/decisions",
        {"action": "workflow.run", "args": {"workflow": "a", "flow": "b"}},
        422,
        "invalid",
    ),
}


@pytest.mark.parametrize("case", FIELDS)
async def test_a_field_that_does_not_fit_is_named_with_its_problem(
    shared: Served, case: str
) -> None:
    path, body, status, code = FIELDS[case]
    before = await shared.counts()

    answer = await shared.api.call("POST", path, body)

    assert (answer.status, answer.code) == (status, code), answer
    assert code in answer.codes
    await _expect_nothing_stored(shared, before)


async def test_an_unknown_field_is_answered_with_the_nearest_known(
    shared: Served,
) -> None:
    answer = await shared.api.call("POST", "/runs", FIELDS["J13"][1])

    assert answer.body["pointer"] == "/inputs"
    assert "Did you mean input?" in answer.body["detail"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("javascript:alert(1)", "invalid_url"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("gopher://a/", "scheme_not_allowed"),
        ("ftp://a/", "scheme_not_allowed"),
        ("unix:/run/x.sock", "scheme_not_allowed"),
        ("https://", "invalid_url"),
        ("https:///x", "invalid_url"),
        ("https://good@evil.example/", "invalid_url"),
        ("https://a.example\\@b.example/", "invalid_url"),
        ("https://a.example/\tb", "invalid_url"),
        ("https://${input.host}/", "invalid_url"),
        ("https://a.example/" + "a" * 10_240, "invalid_url"),
        ("", "invalid_url"),
    ],
)
async def test_a_url_that_can_be_misread_is_refused(
    shared: Served, url: str, code: str
) -> None:
    tool = {"name": "fetch", "kind": "http", "effect": "none"}
    before = await shared.counts()

    body = {**tool, "http": {"method": "GET", "url": url}}
    answer = await shared.api.call("POST", "/tools", body)

    assert (answer.status, answer.code) == (422, code), answer
    assert answer.body["pointer"].endswith("/http/url")
    await _expect_nothing_stored(shared, before)


async def test_what_no_message_can_carry_is_refused_by_its_size(
    shared: Served,
) -> None:
    before = await shared.counts()

    body = {"workflow": "greet", "input": {"name": "a" * 262_144}}
    answer = await shared.api.call("POST", "/runs", body)

    assert (answer.status, answer.code) == (413, "message_too_large")
    assert "262144" in answer.body["detail"]
    assert await shared.counts() == before


async def test_two_forms_of_one_name_are_one_name(served: Served) -> None:
    await served.api.post("/workflows", {**greet(), "name": "caf\u00e9"})

    answer = await served.api.call(
        "POST", "/workflows", {**greet(), "name": "cafe\u0301"}
    )

    assert (answer.status, answer.code) == (409, "name_conflict")


async def test_free_text_keeps_its_characters(served: Served) -> None:
    odd = "a\u0000b\u2028c\u202ed\U0001f600"
    await served.api.post("/workflows", greet())
    args = {"workflow": "greet", "input": {"name": odd}}
    body = {"action": "workflow.run", "reason": odd, "args": args}

    answer = await served.api.post("/decisions", body)

    decision = await served.api.get(f"/decisions/{answer['decision_id']}")
    assert decision["reason"] == odd
    assert decision["args"]["input"] == {"name": odd}


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "application/xml"]
)
async def test_another_media_type_is_refused(shared: Served, kind: str) -> None:
    headers = {"Content-Type": kind}

    answer = await shared.api.call("POST", "/decisions", data=b"{}", headers=headers)

    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/nothing", "/runs/", "//runs"])
async def test_an_unknown_route_is_told_as_a_problem(shared: Served, path: str) -> None:
    answer = await shared.api.call("GET", path)

    assert (answer.status, answer.code) == (404, "route_not_found")


async def test_a_method_that_a_route_lacks_is_told_with_those_it_has(
    shared: Served,
) -> None:
    answer = await shared.api.call("DELETE", "/decisions")

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= {m.strip() for m in answer.headers["Allow"].split(",")}


async def test_every_problem_has_the_one_shape(shared: Served) -> None:
    answers: list[Answer] = [
        await shared.api.call("GET", f"/runs/{new_id('run')}"),
        await shared.api.call("POST", "/decisions", data=b"{"),
        await shared.api.call("POST", "/runs", {"inputs": 1}),
    ]

    for answer in answers:
        assert set(answer.body) >= _SHAPE
        assert answer.body["message"] == answer.body["detail"]
        assert answer.body["request_id"] == answer.headers["X-Request-Id"]


_SHAPE: set[Any] = {
    "type",
    "title",
    "status",
    "code",
    "detail",
    "message",
    "details",
    "errors",
    "request_id",
}


async def _expect_nothing_stored(served: Served, before: dict[str, int]) -> None:
    after = await served.counts()
    changed = {name for name, number in after.items() if number != before[name]}
    assert changed <= {"decisions", "ledger"}
