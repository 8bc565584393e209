"""Proposing over HTTP: how far a caller waits, and what every answer names."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from contracts import (
    Envelope,
    Fault,
    Outcome,
    RunEnded,
    RunRow,
    derived_id,
    later,
    said,
)
from tests.support.api import Answer
from tests.support.doorway import (
    Doorway,
    Gatekeeper,
    Ruling,
    approved,
    asking,
    done,
    failed,
    only_approved,
    only_recorded,
    open_doorway,
    refused,
    silent,
)
from tests.support.polling import until
from tests.support.stored import ended, paused, run

RUN = {"workflow": "greet", "input": {"name": "Ada"}}
DECISION = {"action": "workflow.run", "args": RUN, "reason": "because"}
NAMED = ("X-Decision-Id", "X-Correlation-Id")


async def propose(doorway: Doorway, query: str = "", **more: Any) -> Answer:
    """A decision over HTTP."""
    path = f"/decisions{query}"
    return await doorway.api.call("POST", path, {**DECISION, **more})


async def test_what_was_carried_out_is_told_with_verdict_and_outcome(
    doorway: Doorway,
) -> None:
    doorway.gate.ruling = done({"run_id": "run_1"})

    answer = await propose(doorway)

    [asked] = doorway.gate.asked
    assert answer.status == 200
    assert answer.body["state"] == "done"
    assert answer.body["outcome"]["result"] == {"run_id": "run_1"}
    assert answer.body["verdict"]["result"] == "approved"
    assert "seal" not in answer.body["verdict"]
    assert answer.body["correlation_id"] == asked.correlation_id == asked.id


async def test_people_who_are_asked_are_told_to_who_proposed(doorway: Doorway) -> None:
    doorway.gate.ruling = asking

    answer = await propose(doorway)

    assert (answer.status, answer.body["state"]) == (202, "awaiting")
    assert answer.body["verdict"] == {"result": "awaiting", "rules": ["ask-first"]}
    assert answer.body["approval"]["quorum"] == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Fault(code="run_exists", message="It is there."), 409, "run_exists"),
        (Fault(code="teapot", message="No tea."), 500, "teapot"),
        (None, 500, "outcome_unknown"),
    ],
)
async def test_what_failed_is_a_problem_that_names_its_decision(
    doorway: Doorway, error: Fault | None, status: int, code: str
) -> None:
    state: Any = "failed" if error else "unknown"
    doorway.gate.ruling = failed(
        lambda decision_id: Outcome(decision_id=decision_id, state=state, error=error)
    )

    answer = await propose(doorway)

    assert (answer.status, answer.code) == (status, code)
    assert answer.body["details"]["decision_id"] == answer.headers["X-Decision-Id"]


RULINGS: dict[str, Ruling] = {
    "done": done({"run_id": "run_1"}),
    "asking": asking,
    "refused": refused(),
    "not carried out": only_approved,
    "lost": only_recorded,
    "silent": silent,
}


@pytest.mark.parametrize("ruling", RULINGS)
async def test_every_answer_to_a_change_names_decision_and_chain(ruling: str) -> None:
    async with open_doorway(RULINGS[ruling], gate_deadline_s=0.05) as doorway:
        answer = await propose(doorway, "?timeout_s=0.2")

        [decision] = doorway.gate.decisions
        assert answer.headers["X-Decision-Id"] == decision.id
        assert answer.headers["X-Correlation-Id"] == doorway.gate.asked[0].id


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "/decisions", b"{"),
        ("POST", "/runs", b"[]"),
        ("PUT", "/workflows/greet", b"null"),
        ("DELETE", "/tools/nothing", None),
        ("POST", "/runs/x/cancel", None),
        ("POST", "/approvals/x/grant", None),
        ("DELETE", "/keys/x", None),
        ("PUT", "/freeze", b""),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_also_what_was_never_proposed_is_answered_with_both_names(
    shared: Doorway, method: str, path: str, data: bytes | None, known: bool
) -> None:
    api = shared.api if known else shared.api.as_holder_of("")
    headers = {"Content-Type": "application/json"}

    answer = await api.call(method, path, data=data, headers=headers)

    assert answer.headers["X-Decision-Id"].startswith("dec_")
    assert answer.headers["X-Correlation-Id"].startswith("msg_")


async def test_a_read_names_no_decision(shared: Doorway) -> None:
    answer = await shared.api.call("GET", "/version")

    assert not set(NAMED) & set(answer.headers)


async def test_a_silent_gate_is_unavailable_in_time_and_nothing_happened() -> None:
    async with open_doorway(silent, gate_deadline_s=0.1) as doorway:
        began = time.monotonic()
        answer = await propose(doorway)

    assert time.monotonic() - began < 1
    assert (answer.status, answer.code) == (503, "gate_unavailable")
    assert answer.headers["Retry-After"] == "1"


async def test_a_decision_is_wanted_no_longer_than_its_caller_waits() -> None:
    async with open_doorway(silent, gate_deadline_s=5) as doorway:
        await propose(doorway, "?timeout_s=0.1")

        [decision] = doorway.gate.decisions
        assert decision.not_after == later(decision.created_at, 0.1)


async def test_a_verdict_that_was_recorded_and_not_heard_is_read() -> None:
    async with open_doorway(only_recorded, gate_deadline_s=0.05) as doorway:
        answer = await propose(doorway, "?timeout_s=0.1")

    assert (answer.status, answer.body["state"]) == (202, "approved")
    assert answer.body["outcome"] is None


async def test_an_outcome_that_comes_after_the_verdict_is_waited_for() -> None:
    async def late(gate: Gatekeeper, envelope: Any) -> None:
        await only_approved(gate, envelope)
        outcome = Outcome(
            decision_id=approved(gate, envelope).decision_id,
            state="succeeded",
            result={"late": True},
        )
        await gate.settle(envelope, outcome)

    async with open_doorway(late, gate_deadline_s=0.05) as doorway:
        answer = await propose(doorway, "?timeout_s=5")

    assert (answer.status, answer.body["outcome"]["result"]) == (200, {"late": True})


@pytest.mark.parametrize("wait", ["verdict", "none"])
async def test_who_waits_for_no_outcome_is_answered_at_the_verdict(
    doorway: Doorway, wait: str
) -> None:
    doorway.gate.ruling = only_approved

    answer = await propose(doorway, f"?wait={wait}")

    assert (answer.status, answer.body["state"]) == (202, "approved")
    record = await doorway.store.decisions.get(
        "default", answer.headers["X-Decision-Id"]
    )
    assert record is not None


@pytest.mark.parametrize("path", ["/tools", "/workflows", "/keys"])
async def test_every_change_takes_how_to_wait(doorway: Doorway, path: str) -> None:
    doorway.gate.ruling = only_approved
    body: Any = {"name": "t"}
    if path == "/keys":
        body = {"subject": "eve", "roles": ["viewer"]}

    answer = await doorway.api.call("POST", f"{path}?wait=verdict&timeout_s=3", body)

    assert (answer.status, answer.body["state"]) == (202, "approved")


async def test_a_dry_run_shows_verdict_and_plan_whatever_the_verdict(
    doorway: Doorway,
) -> None:
    for ruling, result in ((done({}), "approved"), (refused(), "refused")):
        doorway.gate.ruling = ruling

        answer = await propose(doorway, dry_run=True)

        assert (answer.status, answer.body["state"]) == (200, "dry_run")
        assert answer.body["verdict"]["result"] == result
        assert answer.body["plan"] == {"nodes": 3}


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", True),
        ("00-" + "0" * 32 + "-" + "b" * 16 + "-01", False),
        ("00-" + "A" * 32 + "-" + "b" * 16 + "-01", False),
        ("garbage", False),
        ("", False),
    ],
)
async def test_a_trace_is_carried_on_if_it_is_well_formed(
    doorway: Doorway, given: str, passed: bool
) -> None:
    headers = {"traceparent": given}

    answer = await doorway.api.call("POST", "/decisions", DECISION, headers=headers)

    [asked] = doorway.gate.asked
    assert answer.status == 200
    assert asked.traceparent == (given if passed else None)


# ------------------------------------------------------------------- runs


def making_run(**more: Any) -> Ruling:
    """Approved, and the run is there in this state."""

    async def rule(gate: Gatekeeper, envelope: Any) -> None:
        decision_id = approved(gate, envelope).decision_id
        row = run(id=derived_id("run", decision_id, "0"), **more)
        await gate.store.runs.create(row)
        gate.bus.broadcast(f"run:{row.id}:rest", lambda: _rested(row))
        await done({"run_id": row.id})(gate, envelope)

    return rule


def _rested(row: RunRow) -> Envelope:
    body = RunEnded(run_id=row.id, status=row.state.status, origin=row.origin)
    return said(body, by="worker", tenant="default", at=row.created_at)


async def start(doorway: Doorway, query: str = "", **more: Any) -> Answer:
    """A run over HTTP."""
    return await doorway.api.call("POST", f"/runs{query}", {**RUN, **more})


async def test_a_started_run_is_told_with_its_address(doorway: Doorway) -> None:
    doorway.gate.ruling = making_run()

    answer = await start(doorway)

    run_id = derived_id("run", answer.headers["X-Decision-Id"], "0")
    assert answer.status == 202
    assert answer.body == {
        "id": run_id,
        "status": "queued",
        "decision_id": answer.headers["X-Decision-Id"],
    }
    assert answer.headers["Location"] == f"/api/v1/runs/{run_id}"


async def test_a_run_not_to_be_started_is_told_as_paused(doorway: Doorway) -> None:
    doorway.gate.ruling = making_run(state=paused(1, "not_started"))

    assert (await start(doorway, start=False)).body["status"] == "paused"


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {"wait": True}, 200),
        ("?wait=outcome", {}, 200),
        ("?wait=verdict", {"wait": True}, 200),
        ("", {}, 202),
        ("?wait=outcome", {"wait": False}, 202),
        ("?wait=verdict", {}, 202),
        ("?wait=none", {}, 202),
    ],
)
async def test_wait_in_the_body_wins_over_wait_in_the_query(
    doorway: Doorway, query: str, body: dict[str, Any], status: int
) -> None:
    doorway.gate.ruling = making_run(state=ended(4))

    answer = await start(doorway, query, **body)

    assert answer.status == status
    assert answer.body["id"] == derived_id("run", answer.headers["X-Decision-Id"], "0")
    assert ("steps_state" in answer.body) == (status == 200)


async def test_a_run_that_waits_for_a_person_is_not_waited_for(
    doorway: Doorway,
) -> None:
    doorway.gate.ruling = making_run(state=paused(3, "approval"))

    answer = await start(doorway, wait=True, timeout_s=30)

    assert (answer.status, answer.body["status"]) == (202, "paused")
    assert answer.headers["Location"].endswith(answer.body["id"])


async def test_a_wait_that_is_over_ends_with_the_address_of_the_run(
    doorway: Doorway,
) -> None:
    doorway.gate.ruling = making_run()

    answer = await start(doorway, wait=True, timeout_s=0.1)

    assert (answer.status, answer.body["status"]) == (202, "queued")


@pytest.mark.parametrize("timeout_s", [0, -1, 61, "1"])
async def test_how_long_to_wait_for_a_run_has_its_range(
    doorway: Doorway, timeout_s: Any
) -> None:
    answer = await start(doorway, wait=True, timeout_s=timeout_s)

    assert answer.status == 422
    assert doorway.gate.asked == []


async def test_who_waits_when_the_service_stops_is_answered_with_what_is_known() -> (
    None
):
    answers: list[Answer] = []
    async with (
        open_doorway(making_run()) as doorway,
        anyio.create_task_group() as tasks,
    ):

        async def wait() -> None:
            answers.append(await start(doorway, wait=True, timeout_s=60))

        tasks.start_soon(wait)
        assert await until(lambda: _is_there(doorway))
        doorway.door.closing.set()

    assert (answers[0].status, answers[0].body["status"]) == (202, "queued")


async def _is_there(doorway: Doorway) -> bool:
    page = await doorway.api.get("/runs")
    return bool(page["items"])
