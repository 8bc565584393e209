"""One decision through the whole house: carried out, refused, or not in time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from contracts import derived_id
from tests.support.definitions import greet
from tests.support.polling import until
from tests.support.serving import Given, Served, serving

RUN = {"workflow": "greet", "input": {"name": "Ada"}}
PROPOSAL = {"action": "workflow.run", "args": RUN, "reason": "a test"}
RECORDED = {"decisions", "ledger"}
NO_ADA = {
    "id": "no-ada",
    "when": "decision.action == 'workflow.run' && decision.args.input.name == 'Ada'",
    "then": "deny",
    "message": "Ada was greeted already.",
}
ALLOW = {"id": "allow-all", "when": "true", "then": "allow"}


async def test_an_approved_run_is_durable_when_its_id_is_told(served: Served) -> None:
    await served.api.post("/workflows", greet())

    answer = await served.api.call("POST", "/decisions", PROPOSAL)

    decision_id, run_id = answer.body["decision_id"], _run_id(answer.body)
    assert answer.status == 200
    assert answer.headers["X-Decision-Id"] == decision_id
    assert answer.headers["X-Correlation-Id"] == answer.body["correlation_id"]
    assert answer.body["state"] == "done"
    assert answer.body["verdict"]["result"] == "approved"
    assert answer.body["verdict"]["rules"] == ["permitted"]
    assert run_id == derived_id("run", decision_id, "0")
    assert await served.service.store.runs.get("default", run_id) is not None


async def test_a_run_that_completed_is_the_one_kind_of_success(served: Served) -> None:
    await served.api.post("/workflows", greet())

    run = await served.api.run("greet", {"name": "Ada"})

    assert (run["status"], run["success"]) == ("completed", True)
    assert run["output"] == {"greeting": "Hello ADA"}
    events = (await served.api.get(f"/runs/{run['id']}/events"))["items"]
    assert [event["seq"] for event in events] == [*range(1, len(events) + 1)]
    assert events[-1]["type"] == "workflow_complete"


async def test_a_refusal_names_its_rule_and_changes_nothing_else(
    given: Given,
) -> None:
    settings = given(gate={"rules": (NO_ADA, ALLOW)})
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        before = await served.counts()

        answer = await served.api.call("POST", "/decisions", PROPOSAL)

        assert (answer.status, answer.code) == (403, "refused")
        assert answer.body["rule"] == "no-ada"
        assert answer.body["details"]["rules"] == ["no-ada"]
        assert answer.body["detail"] == "Ada was greeted already."
        assert answer.body["details"]["decision_id"] == answer.headers["X-Decision-Id"]
        changed = _changed(before, await served.counts())
        assert set(changed) == RECORDED
        assert changed["decisions"] == 1


async def test_a_rule_that_fails_refuses_like_a_rule_that_matches(
    given: Given,
) -> None:
    when = "decision.action == 'workflow.run' && decision.args.input.age > 3"
    broken = {**NO_ADA, "when": when}
    settings = given(gate={"rules": (broken, ALLOW)})
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())

        answer = await served.api.call("POST", "/decisions", PROPOSAL)

        assert (answer.status, answer.body["rule"]) == (403, "no-ada")


async def test_a_dry_run_shows_the_verdict_and_writes_one_decision(
    served: Served,
) -> None:
    await served.api.post("/workflows", greet())
    before = await served.counts()

    answer = await served.api.call("POST", "/decisions", {**PROPOSAL, "dry_run": True})

    assert (answer.status, answer.body["state"]) == (200, "dry_run")
    assert answer.body["verdict"]["result"] == "approved"
    assert answer.body["plan"]
    changed = _changed(before, await served.counts())
    assert set(changed) == RECORDED
    assert changed["decisions"] == 1


async def test_who_waits_for_the_verdict_alone_gets_it_without_outcome(
    served: Served,
) -> None:
    await served.api.post("/workflows", greet())

    answer = await served.api.call("POST", "/decisions?wait=verdict", PROPOSAL)

    assert answer.status in (200, 202)
    assert answer.body["verdict"]["result"] == "approved"


async def test_a_stopped_coordinator_is_a_refusal_in_time_and_for_good(
    given: Given,
) -> None:
    settings = given(gate={"deadline_s": 0.3})
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        before = await served.counts()
        deaf = await served.deafen("decision", "coordinator")

        began = time.monotonic()
        answer = await served.api.call("POST", "/decisions", PROPOSAL)
        seconds = time.monotonic() - began

        assert (answer.status, answer.code) == (503, "gate_unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert seconds < 0.3 + 0.5
        assert await served.counts() == before

        deaf.end()
        assert await until(lambda: _is_handled(served))
        changed = _changed(before, await served.counts())
        assert set(changed) <= RECORDED
        assert await _decisions(served, "workflow.run") in ([], ["refused"])


@pytest.mark.parametrize("workflow", ["missing", "Greet"])
async def test_a_run_of_what_does_not_exist_is_not_found(
    served: Served, workflow: str
) -> None:
    await served.api.post("/workflows", greet())
    before = await served.counts()

    answer = await served.api.call("POST", "/runs", {"workflow": workflow})

    assert answer.status in (404, 422)
    changed = _changed(before, await served.counts())
    assert set(changed) <= RECORDED


async def test_an_input_that_breaks_its_schema_names_each_place(
    served: Served,
) -> None:
    await served.api.post("/workflows", greet())
    before = await served.counts()

    body = {"workflow": "greet", "input": {"name": "a" * 81, "age": 3}}
    answer = await served.api.call("POST", "/runs", body)

    assert answer.status == 422
    assert any(pointer.endswith("/name") for pointer, _ in answer.problems)
    changed = _changed(before, await served.counts())
    assert set(changed) <= RECORDED


def _run_id(body: Any) -> str:
    return str(body["outcome"]["result"]["run_id"])


def _changed(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: n - before[name] for name, n in after.items() if n != before[name]}


async def _is_handled(served: Served) -> bool:
    groups = await served.service.bus.groups()
    return groups["decision/coordinator"].waiting == 0


async def _decisions(served: Served, action: str) -> list[str]:
    listed = await served.api.get(f"/decisions?action={action}")
    return [one["state"] for one in listed["items"]]
