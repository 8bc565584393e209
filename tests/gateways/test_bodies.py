"""Bodies: bounded in bytes, strict in form, and refused before anything is proposed."""

from __future__ import annotations

import json

import pytest

from contracts import LIMITS, new_id
from tests.support.doorway import Doorway, told

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
DECISION = {"action": "workflow.run", "args": {"workflow": "greet"}}

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "J1 empty": (b"", 400, "json_invalid"),
    "J1 blanks": (b" \n", 400, "json_invalid"),
    "J1 null": (b"null", 422, "type_error"),
    "J1 list": (b"[]", 422, "type_error"),
    "J1 text": (b'"x"', 422, "type_error"),
    "J1 number": (b"1", 422, "type_error"),
    "J3 byte order mark": (b"\xef\xbb\xbf{}", 400, "json_not_utf8"),
    "J3 stray byte": (b'{"a": "\xff"}', 400, "json_not_utf8"),
    "J4": (b'{"action": "a", "action": "a"}', 400, "json_duplicate_key"),
    "J6": (b'{"args": {"n": 9223372036854775808}}', 422, "number_out_of_range"),
    "J13": (b'{"action": "run.cancel", "arg": {}}', 422, "unknown_field"),
    "H28": (b"{} x", 400, "json_trailing_data"),
    "unknown action": (b'{"action": "run.explode"}', 422, "action_unknown"),
    "reason": (
        json.dumps({**DECISION, "reason": "a" * 2_001}).encode(),
        422,
        "string_too_long",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_body_that_does_not_fit_is_refused_unproposed(
    doorway: Doorway, case: str
) -> None:
    data, status, code = REFUSED[case]

    answer = await doorway.api.call("POST", "/decisions", data=data, headers=JSON)

    assert (answer.status, answer.code) == (status, code), answer
    assert answer.body["errors"]
    assert doorway.gate.asked == []


@pytest.mark.parametrize("data", [b"", b" ", b"null", b"[]", b'"x"', b"1"])
@pytest.mark.parametrize("path", ["/workflows", "/tools", "/runs", "/keys"])
async def test_an_object_is_due_wherever_something_is_made(
    shared: Doorway, path: str, data: bytes
) -> None:
    answer = await shared.api.call("POST", path, data=data, headers=JSON)

    assert (answer.status, answer.code) in (
        (400, "json_invalid"),
        (422, "type_error"),
    )
    assert answer.body["pointer"] in ("/", "1:1", "1:2")


async def test_where_everything_may_be_left_out_the_body_may_be(
    doorway: Doorway,
) -> None:
    path = f"/approvals/{new_id('apr')}/grant"

    answer = await doorway.api.call("POST", path)

    assert answer.status == 200
    [decision] = doorway.gate.decisions
    assert decision.action == "approval.grant"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""],
)
async def test_another_media_type_is_told_which_are_taken(
    doorway: Doorway, kind: str
) -> None:
    headers = {"Content-Type": kind}

    answer = await doorway.api.call("POST", "/decisions", data=b"{}", headers=headers)

    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert "application/json" in answer.body["detail"]
    assert doorway.gate.asked == []


async def test_a_definition_may_be_written_in_yaml(doorway: Doorway) -> None:
    text = b"name: greet\nnodes: []\nedges: []\n"

    answer = await doorway.api.call("POST", "/workflows", data=text, headers=YAML)

    assert answer.status == 201
    [decision] = doorway.gate.decisions
    assert decision.args["definition"] == {"name": "greet", "nodes": [], "edges": []}


async def test_a_definition_in_broken_yaml_is_told_the_place(doorway: Doorway) -> None:
    answer = await doorway.api.call("POST", "/workflows", data=b"a: [", headers=YAML)

    assert (answer.status, answer.code) == (422, "yaml_invalid")
    assert doorway.gate.asked == []


async def test_a_body_announced_as_too_large_is_refused_unread(
    doorway: Doorway,
) -> None:
    most = LIMITS["body_bytes"]

    answer = told(await doorway.raw(_post(doorway, f"Content-Length: {most + 1}")))

    assert (answer.status, answer.code) == (413, "body_too_large")
    assert str(most) in answer.body.decode()


async def test_a_client_that_asks_first_is_not_asked_for_a_body_too_large(
    doorway: Doorway,
) -> None:
    most = LIMITS["body_bytes"]
    headers = f"Expect: 100-continue\r\nContent-Length: {most + 1}"

    raw = await doorway.raw(_post(doorway, headers))

    assert raw.startswith(b"HTTP/1.1 413")


async def test_a_body_in_chunks_is_cut_at_the_limit(doorway: Doorway) -> None:
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    head = _post(doorway, "Transfer-Encoding: chunked")

    answer = told(await doorway.raw(head + chunk * 20))

    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert doorway.gate.asked == []


async def test_a_body_that_drips_is_given_up(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "body_seconds", 0)

    answer = told(await doorway.raw(_post(doorway, "Content-Length: 10") + b"{"))

    assert (answer.status, answer.code) == (408, "body_incomplete")


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n\r\n", b"-1\r\n\r\n", b"5\r\nab\r\n0\r\n\r\n"]
)
async def test_a_body_in_broken_chunks_is_refused(
    doorway: Doorway, chunk: bytes
) -> None:
    answer = told(
        await doorway.raw(_post(doorway, "Transfer-Encoding: chunked") + chunk)
    )

    assert 400 <= answer.status < 500
    assert doorway.gate.asked == []


def _post(doorway: Doorway, headers: str) -> bytes:
    return (
        "POST /api/v1/decisions HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {doorway.key}\r\n"
        "Content-Type: application/json\r\n"
        f"{headers}\r\n\r\n"
    ).encode()
