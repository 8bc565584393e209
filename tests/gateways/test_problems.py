"""Problems: one shape for every error, and nothing in it that is not the caller's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import CODES, Fault, PermanentError, TemporaryError
from gateways.http.problems import problem, problem_response
from tests.support.doorway import Doorway, open_doorway, refused

MEMBERS = {
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


def body_of(response: Any) -> Any:
    """The JSON of a response that was not sent."""
    return json.loads(response.body)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_a_problem_of_the_one_shape(code: str) -> None:
    body = problem(code, "It went wrong.", {}, "req_1")

    assert set(body) == MEMBERS
    assert body["status"] == CODES[code].status
    assert body["detail"] == body["message"] == "It went wrong."
    assert body["title"]


def test_several_problems_are_each_told_with_their_place() -> None:
    problems = [
        {"pointer": "/a", "code": "type_error", "message": "No."},
        {"pointer": "/b", "code": "unknown_field", "message": "No."},
    ]

    body = problem("type_error", "No.", {"problems": problems, "total": 2}, "req_1")

    assert body["errors"] == problems
    assert body["pointer"] == "/a"
    assert body["details"] == {"total": 2}


def test_a_code_of_a_tools_own_is_a_failure_of_ours() -> None:
    response = problem_response(Fault(code="teapot", message="No tea."), "req_1", {})

    assert (response.status, body_of(response)["code"]) == (500, "teapot")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (TemporaryError(code="bus_backlog"), "1"),
        (TemporaryError(code="store_busy", delay=2.5), "3"),
        (PermanentError(code="too_many_streams"), "1"),
        (TemporaryError(code="request_in_progress"), "1"),
    ],
)
def test_what_may_work_later_says_when(error: Any, seconds: str) -> None:
    response = problem_response(error, "req_1", {})

    assert response.headers["Retry-After"] == seconds


def test_what_will_never_work_says_no_time() -> None:
    response = problem_response(PermanentError(code="forbidden"), "req_1", {})

    assert "Retry-After" not in response.headers


async def test_a_refusal_names_its_rules_and_its_decision(doorway: Doorway) -> None:
    doorway.gate.ruling = refused(reason_code="late")
    body = {"action": "workflow.run", "args": {"workflow": "greet"}}

    answer = await doorway.api.call("POST", "/decisions", body)

    assert (answer.status, answer.code) == (403, "refused")
    assert answer.body["rule"] == "never"
    assert answer.body["details"] == {
        "reason_code": "late",
        "decision_id": answer.headers["X-Decision-Id"],
        "rules": ["never", "nowhere"],
        "message": "Not today.",
    }
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_a_failure_nobody_thought_of_tells_only_the_request_id() -> None:
    def broken(_: object) -> Any:
        raise RuntimeError("secret-internals at /srv/secret")

    async with open_doorway(explain=broken) as doorway:
        made = await doorway.api.post("/decisions", _RUN)
        path = f"/decisions/{made['decision_id']}/explain"
        answer = await doorway.api.call("POST", path)

    assert (answer.status, answer.code) == (500, "internal")
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    assert "secret" not in json.dumps(answer.body)


_RUN = {"action": "workflow.run", "args": {"workflow": "greet"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/version"),
        ("GET", "/nothing"),
        ("DELETE", "/version"),
        ("GET", "/runs/x"),
        ("OPTIONS", "/version"),
        ("POST", "/decisions"),
        ("GET", "/../../healthz"),
        ("GET", "/../../metrics"),
    ],
)
async def test_every_answer_carries_the_headers_of_every_answer(
    shared: Doorway, method: str, path: str
) -> None:
    answer = await shared.api.call(method, path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"] == "sluicegate"
    assert answer.headers["X-Request-Id"].startswith("req_")
