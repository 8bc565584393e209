"""What a run proposes: judged with its real arguments, by what it has pinned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts import (
    Approved,
    Awaiting,
    JsonObject,
    Principal,
    Proposer,
    Refused,
    RunState,
    Verdict,
    new_id,
)
from tests.support.clock import FakeClock
from tests.support.gatehouse import (
    ADA,
    BOB,
    GREET,
    ROOT,
    TENANT,
    Gatehouse,
    frozen,
    open_gatehouse,
    paying,
    person,
    tool,
)

CALL: JsonObject = {"tool": "pay", "input": {"amount": 1}, "node_id": "pay"}
CHEAP = tool(risk="medium")


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(FakeClock()) as opened:
        yield opened


def code_of(verdict: Verdict) -> str:
    assert isinstance(verdict, Refused), verdict
    return verdict.code


async def test_a_pinned_tool_needs_only_the_permission_to_run(
    house: Gatehouse,
) -> None:
    may_run: Principal = ADA.model_copy(update={"permissions": ("workflow.run",)})
    run = await house.run_of(paying(), CHEAP)
    decided = house.decision(
        "tool.call",
        CALL,
        may_run,
        proposer=Proposer(kind="run", id=run.id),
        run_id=run.id,
    )

    await house.agent.on_decision(decided, house.envelope(decided))

    (verdict,) = await house.verdicts_of(run)
    assert isinstance(verdict, Approved)
    assert verdict.rules == ("permitted", "runs-may-call-their-tools")
    assert verdict.pins == {"tool:pay": run.pins["tool:pay"]}


async def test_a_run_calls_what_it_pinned_whatever_became_of_the_name(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), CHEAP)
    await house.define("tool", tool(risk="high"))
    await house.store.definitions.delete(
        TENANT, "tool", "pay", expected_version=None, at=house.now
    )

    verdict = await house.in_run(run, "tool.call", CALL)

    assert isinstance(verdict, Approved)
    assert verdict.pins == {"tool:pay": run.pins["tool:pay"]}


async def test_an_anonymous_run_may_call_its_tools(house: Gatehouse) -> None:
    run = await house.run_of(paying(), CHEAP)
    nobody = Principal(
        id="anonymous",
        kind="anonymous",
        subject=ADA.subject,
        permissions=("workflow.run",),
        tenant=TENANT,
    )

    verdict = await house.in_run(
        run.model_copy(update={"principal": nobody}), "tool.call", CALL
    )

    assert isinstance(verdict, Approved)
    assert verdict.rules == ("runs-may-call-their-tools",)


async def test_every_verdict_lands_in_the_inbox_and_none_on_the_bus(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), tool())

    waiting = await house.in_run(run, "tool.call", CALL)
    refused = await house.in_run(run, "tool.call", {**CALL, "input": {}})

    assert isinstance(waiting, Awaiting)
    assert code_of(refused) == "input_invalid"
    assert house.performing == []


async def test_a_run_is_nudged_when_something_lies_in_its_inbox(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), CHEAP)

    async with house.bus.listen("nudge") as nudges:
        await house.in_run(run, "tool.call", CALL)
        nudge = await anext(aiter(nudges))

    assert nudge.body.plain() == {"run_id": run.id}


async def test_the_vote_on_a_runs_call_is_told_to_the_run(house: Gatehouse) -> None:
    run = await house.run_of(paying(), tool())
    asked = await house.in_run(run, "tool.call", CALL)
    assert isinstance(asked, Awaiting)

    await house.vote(asked.approval_id)

    verdicts = await house.verdicts_of(run)
    assert [v.result for v in verdicts] == ["awaiting", "approved"]
    assert house.performing == []


async def test_a_required_approval_asks_on_the_terms_of_the_node(
    house: Gatehouse,
) -> None:
    terms = {"approvers": ["subject:sub_bob"], "quorum": 1, "expires_s": 60}
    run = await house.run_of(paying(approval=terms), CHEAP)

    verdict = await house.in_run(run, "tool.call", CALL)

    assert isinstance(verdict, Awaiting)
    assert verdict.rules == ("node:pay",)
    assert verdict.approvers == ("subject:sub_bob",)
    approval = await house.approval(verdict.approval_id)
    assert (approval.run_id, approval.node_id) == (run.id, "pay")


async def test_a_node_and_a_rule_ask_together(house: Gatehouse) -> None:
    run = await house.run_of(paying(approval="required"), tool())

    verdict = await house.in_run(run, "tool.call", CALL)

    assert verdict.rules == ("high-risk-needs-a-person", "node:pay")


async def test_an_approval_node_asks_whom_it_names(house: Gatehouse) -> None:
    run = await house.run_of(paying(), CHEAP)
    form = {"run_id": run.id, "node_id": "sign_off", "form": {"total": 3}}

    verdict = await house.in_run(run, "approval.request", form)

    assert isinstance(verdict, Awaiting)
    assert verdict.rules == ("node:sign_off",)
    assert verdict.approvers == ("role:admin",)
    approval = await house.approval(verdict.approval_id)
    assert approval.args["form"] == {"total": 3}
    granted = await house.vote(verdict.approval_id, person("max", "admin", "approver"))
    assert granted.outcome.result["state"] == "approved"
    last = (await house.verdicts_of(run))[-1]
    assert last.rules == ("permitted", "node:sign_off")


@pytest.mark.parametrize(
    ("action", "args", "code"),
    [
        ("tool.call", {**CALL, "node_id": "nowhere"}, "graph_unknown_node"),
        ("tool.call", {**CALL, "node_id": None}, "graph_unknown_node"),
        ("tool.call", {**CALL, "tool": "other"}, "tool_not_allowed"),
        ("tool.call", {**CALL, "tool": "nowhere"}, "tool_not_found"),
        ("approval.request", {"run_id": "", "node_id": "pay"}, "invalid"),
        (
            "approval.request",
            {"run_id": "", "node_id": "nowhere"},
            "graph_unknown_node",
        ),
    ],
)
async def test_a_run_proposes_what_its_plan_says_and_nothing_else(
    house: Gatehouse, action: str, args: JsonObject, code: str
) -> None:
    await house.define("tool", tool("other", risk="low"))
    run = await house.run_of(paying(), CHEAP)
    given: dict[str, Any] = {**args, **({"run_id": run.id} if "run_id" in args else {})}

    assert code_of(await house.in_run(run, action, given)) == code


async def test_a_run_asks_for_its_own_nodes_only(house: Gatehouse) -> None:
    run = await house.run_of(paying(), CHEAP)
    other = await house.run_of(paying("other"), CHEAP)
    args = {"run_id": other.id, "node_id": "sign_off"}

    assert code_of(await house.in_run(run, "approval.request", args)) == "invalid"


async def test_nobody_asks_for_an_approval_node_from_outside(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), CHEAP)
    args = {"run_id": run.id, "node_id": "sign_off"}

    answer = await house.propose("approval.request", args, ROOT)

    assert answer.refused.code == "invalid"


async def test_a_run_acts_for_its_own_subject_only(house: Gatehouse) -> None:
    run = await house.run_of(paying(), CHEAP)
    stolen = run.model_copy(update={"principal": ROOT})

    assert code_of(await house.in_run(stolen, "tool.call", CALL)) == "forbidden"


async def test_a_run_that_is_not_there_proposes_nothing(house: Gatehouse) -> None:
    answer = await house.propose(
        "tool.call", CALL, proposer=Proposer(kind="run", id="x"), run_id=new_id("run")
    )

    assert answer.refused.code == "not_found"


async def test_a_frozen_workflow_makes_no_more_calls(house: Gatehouse) -> None:
    run = await house.run_of(paying(), CHEAP)
    await house.store.freezes.set(frozen("workflow", "payday"))

    assert code_of(await house.in_run(run, "tool.call", CALL)) == "frozen"


async def test_a_call_outside_a_run_is_asked_about_like_one_inside(
    house: Gatehouse,
) -> None:
    await house.define("tool", tool())

    answer = await house.propose("tool.call", {**CALL, "node_id": None}, BOB)
    mine = await house.propose("tool.call", {**CALL, "node_id": None})

    assert answer.refused.code == "forbidden"
    assert mine.awaiting.rules == ("high-risk-needs-a-person",)


async def test_a_retry_in_place_is_no_new_plan(house: Gatehouse) -> None:
    run = await house.run_of(GREET)

    answer = await house.propose("run.retry", {"run_id": run.id})

    assert answer.approved.pins == {}


async def test_a_retry_of_an_ended_run_pins_what_that_run_pinned(
    house: Gatehouse,
) -> None:
    ended = RunState(seq=1, status="failed", terminal_event="workflow_error")
    run = (await house.run_of(GREET)).model_copy(
        update={"id": new_id("run"), "decision_id": new_id("dec"), "state": ended}
    )
    await house.store.runs.create(run)
    await house.define("workflow", {**GREET, "description": "newer"})

    answer = await house.propose("run.retry", {"run_id": run.id})

    assert answer.approved.pins == run.pins


async def test_a_run_that_lost_its_verdict_and_asks_again_hears_it_again(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), CHEAP)
    decided = house.decision(
        "tool.call",
        CALL,
        proposer=Proposer(kind="run", id=run.id),
        run_id=run.id,
    )

    for _ in range(2):
        await house.agent.on_decision(decided, house.envelope(decided))

    first, second = await house.verdicts_of(run)
    assert isinstance(first, Approved)
    assert first == second
