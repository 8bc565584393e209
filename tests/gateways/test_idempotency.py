"""Idempotency-Key at the door: one decision a key, whatever happens to the requests."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from contracts import Fault, Outcome, derived_id
from gateways.http import idempotency
from tests.support.api import Answer
from tests.support.doorway import (
    Doorway,
    Gatekeeper,
    asking,
    decision_of,
    done,
    failed,
    only_approved,
    open_doorway,
    refused,
    silent,
)

DECISION = {"action": "workflow.run", "args": {"workflow": "greet"}}


async def propose(doorway: Doorway, key: str = "k", **more: Any) -> Answer:
    """A decision under a key."""
    headers = {"Idempotency-Key": key}
    body = {**DECISION, **more}
    return await doorway.api.call("POST", "/decisions", body, headers=headers)


async def test_a_key_names_one_decision(doorway: Doorway) -> None:
    first, second = await propose(doorway), await propose(doorway)

    assert len(doorway.gate.asked) == 1
    assert (second.status, second.body) == (first.status, first.body)
    for name in ("X-Decision-Id", "X-Correlation-Id"):
        assert second.headers[name] == first.headers[name]


async def test_a_failure_is_the_answer_the_second_time_too(doorway: Doorway) -> None:
    fault = Fault(code="name_conflict", message="It is taken.")
    doorway.gate.ruling = failed(
        lambda decision_id: Outcome(
            decision_id=decision_id, state="failed", error=fault
        )
    )

    answers = [await propose(doorway) for _ in range(2)]

    assert [answer.code for answer in answers] == ["name_conflict"] * 2
    assert len(doorway.gate.asked) == 1


async def test_a_question_to_people_is_asked_once(doorway: Doorway) -> None:
    doorway.gate.ruling = asking

    answers = [await propose(doorway) for _ in range(2)]

    assert answers[0].body == answers[1].body
    assert len(doorway.gate.asked) == 1


async def test_a_dry_run_is_judged_once(doorway: Doorway) -> None:
    answers = [await propose(doorway, dry_run=True) for _ in range(2)]

    assert answers[0].body == answers[1].body
    assert len(doorway.gate.asked) == 1


async def test_a_refusal_leaves_the_key_free(doorway: Doorway) -> None:
    doorway.gate.ruling = refused()
    assert (await propose(doorway)).status == 403
    doorway.gate.ruling = done({"n": 1})

    assert (await propose(doorway)).body["outcome"]["result"] == {"n": 1}


async def test_a_gate_that_was_away_leaves_the_key_free() -> None:
    async with open_doorway(silent, gate_deadline_s=0.05) as doorway:
        assert (await propose(doorway)).status == 503
        doorway.gate.ruling = done({"n": 1})

        assert (await propose(doorway)).body["outcome"]["result"] == {"n": 1}


async def test_the_second_request_waits_for_the_answer_of_the_first(
    doorway: Doorway,
) -> None:
    go = anyio.Event()
    answers: list[Answer] = []

    async def slow(gate: Gatekeeper, envelope: Any) -> None:
        await go.wait()
        await done({"n": 1})(gate, envelope)

    async def post() -> None:
        answers.append(await propose(doorway))

    doorway.gate.ruling = slow
    async with anyio.create_task_group() as posting:
        for _ in range(5):
            posting.start_soon(post)

        while not doorway.gate.asked:
            await doorway.store.ping()

        go.set()

    assert {answer.status for answer in answers} == {200}
    assert {answer.body["decision_id"] for answer in answers} == {
        doorway.gate.decisions[0].id
    }
    assert len(doorway.gate.asked) == 1


async def test_a_request_whose_first_still_runs_is_told_to_come_back(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.http.idempotency.AGAIN_S", 0)
    doorway.gate.ruling = only_approved
    headers = {"Idempotency-Key": "k"}
    await doorway.api.call("POST", "/decisions?wait=verdict", DECISION, headers=headers)

    answer = await propose(doorway)

    assert (answer.status, answer.code) == (409, "request_in_progress")
    assert answer.headers["Retry-After"] == "1"


async def test_a_request_that_was_cut_off_is_proposed_again_as_the_same_decision(
    doorway: Doorway,
) -> None:
    doorway.gate.ruling = only_approved
    headers = {"Idempotency-Key": "k"}
    await doorway.api.call("POST", "/decisions?wait=verdict", DECISION, headers=headers)
    doorway.clock.put_forward(16)

    async def release(gate: Gatekeeper, envelope: Any) -> None:
        record = await gate.store.decisions.get("default", decision_of(envelope).id)
        assert record is not None
        await gate.reply(envelope, record.verdict)
        outcome = Outcome(decision_id=record.id, state="succeeded", result={"n": 1})
        await gate.settle(envelope, outcome)
        await gate.reply(envelope, outcome)

    doorway.gate.ruling = release
    answer = await propose(doorway)

    first, second = doorway.gate.decisions
    assert answer.body["outcome"]["result"] == {"n": 1}
    assert first.id == second.id


async def test_a_decision_that_lapsed_is_followed_by_another(doorway: Doorway) -> None:
    doorway.gate.ruling = failed(
        lambda decision_id: Outcome(decision_id=decision_id, state="expired")
    )
    first = await propose(doorway)
    doorway.gate.ruling = done({"n": 1})
    doorway.clock.put_forward(16)

    answers = [await propose(doorway) for _ in range(2)]

    again = derived_id("dec", first.headers["X-Decision-Id"], "again")
    assert {answer.body["decision_id"] for answer in answers} == {again}
    assert len(doorway.gate.asked) == 2


async def test_a_decision_heard_too_late_is_followed_by_another(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorway.gate.ruling = refused("gate_unavailable")
    with monkeypatch.context() as cut_off:
        cut_off.setattr(idempotency, "forget", _nothing)
        first = await propose(doorway)

    doorway.gate.ruling = done({"n": 1})
    doorway.clock.put_forward(16)

    answers = [await propose(doorway) for _ in range(2)]

    again = derived_id("dec", first.headers["X-Decision-Id"], "again")
    assert first.code == "gate_unavailable"
    assert {answer.body["decision_id"] for answer in answers} == {again}
    assert len(doorway.gate.asked) == 2


async def _nothing(*_: Any) -> None:
    """The process died before it could."""


@pytest.mark.parametrize(
    "key",
    ["", '""', "a" * 256, "a b", 'a"b', '"a', "a\tb", "é"],
    ids=["E13 empty", "quotes", "256", "blank", "inner", "one quote", "tab", "é"],
)
async def test_a_key_of_another_form_is_refused(doorway: Doorway, key: str) -> None:
    answer = await propose(doorway, key)

    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")
    assert doorway.gate.asked == []


async def test_two_keys_are_no_key(doorway: Doorway) -> None:
    raw = (
        "POST /api/v1/decisions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {doorway.key}\r\nContent-Type: application/json\r\n"
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"
        'Content-Length: 23\r\n\r\n{"action":"run.cancel"}'
    )

    answer = await doorway.raw(raw.encode())

    assert answer.startswith(b"HTTP/1.1 400")
    assert doorway.gate.asked == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tools", {"name": "t"}),
        ("POST", "/workflows", {"name": "w"}),
        ("POST", "/keys", {"subject": "eve", "roles": ["viewer"]}),
        ("PUT", "/freeze", {"scope": "tenant"}),
        ("DELETE", "/freeze", None),
        ("DELETE", "/tools/t", None),
        ("DELETE", "/keys/key_01m7y4ad52evcba6zat7tp05c2", None),
        ("POST", "/approvals/apr_01m7y4ad52evcba6zat7tp05c2/grant", {}),
    ],
)
async def test_every_change_honours_a_key(
    doorway: Doorway, method: str, path: str, body: Any
) -> None:
    headers = {"Idempotency-Key": "k"}

    answers = [
        await doorway.api.call(method, path, body, headers=headers) for _ in range(2)
    ]

    assert answers[0].status < 300
    assert answers[0].body == answers[1].body
    assert len(doorway.gate.asked) == 1


async def test_both_ways_to_write_a_route_are_one_route(doorway: Doorway) -> None:
    headers = {"Idempotency-Key": "k"}

    await doorway.api.call("POST", "/decisions", DECISION, headers=headers)
    await doorway.api.call("POST", "/../decisions", DECISION, headers=headers)

    assert len(doorway.gate.asked) == 1
