"""Calls and questions that are judged by themselves, with their real arguments."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import (
    Fault,
    InboxItem,
    JsonObject,
    Outcome,
    StoreUnavailable,
    VerdictRefused,
    derived_id,
    later,
)
from runs.effects import Retryable, Succeeded
from tests.support.engines import World
from tests.support.flows import approval, call, end, flow, one_call, tool

RISKY = tool(effect="non_idempotent")
NO = Fault(code="effect_failed", message="It did not work.")


def asking(**more: Any) -> JsonObject:
    return flow(
        approval(show={"who": "${start.name}"}, **more),
        end(answer="${ask}"),
        edges="start ask, ask end",
    )


async def test_a_risky_call_is_proposed_with_its_real_arguments(world: World) -> None:
    workflow = flow(
        call("act", input={"to": "${start.name}"}), end(), edges="start act, act end"
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, RISKY)
        await world.settle()

    (proposed,) = world.gate.proposed

    assert proposed.id == derived_id("dec", row.id, "act", "0", 1)
    assert proposed.action == "tool.call"
    assert proposed.args == {
        "tool": "tick",
        "input": {"to": "Ada"},
        "node_id": "act",
        "attempt": 1,
    }
    assert proposed.proposer.kind == "run"
    assert proposed.run_id == row.id
    assert proposed.principal == row.principal
    assert (await world.state(row.id)).success


async def test_the_proposal_is_logged_before_it_is_sent(world: World) -> None:
    world.gate.silent = True
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()
        logged = await world.log(row.id)

    assert logged[-1].type == "node_start"
    assert logged[-1].payload["decision_id"] == world.gate.proposed[0].id
    assert (await world.state(row.id)).steps_state == {}
    assert world.tools.calls == []


async def test_a_silent_gate_is_asked_again_the_very_same(world: World) -> None:
    world.gate.silent = True
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle(11)
        first, again, *_ = world.gate.proposed
        world.gate.silent = False
        await world.settle(6)

    assert first.model_dump(exclude={"not_after"}) == again.model_dump(
        exclude={"not_after"}
    )
    assert (await world.state(row.id)).success


async def test_a_call_approved_is_made_under_its_decision_which_is_settled(
    world: World,
) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()

    intent = next(e for e in await world.log(row.id) if e.type == "tool_call")
    decision_id = world.gate.proposed[0].id
    record = await world.store.decisions.get("default", decision_id)

    assert intent.payload["decision_id"] == decision_id
    assert record is not None
    assert record.state == "done"
    assert record.outcome is not None
    assert record.outcome.result == {"run_id": row.id, "node_id": "act"}


async def test_a_verdict_that_is_not_admitted_leads_to_no_call(world: World) -> None:
    world.authority.not_admitted.append(VerdictRefused())
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()

    error = (await world.state(row.id)).error

    assert world.tools.calls == []
    assert error is not None
    assert error.code == "verdict_invalid"


async def test_a_verdict_that_came_too_late_is_asked_for_again(world: World) -> None:
    world.authority.not_admitted.append(VerdictRefused(code="verdict_expired"))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()

    first, second = world.gate.proposed

    assert first.id != second.id
    assert second.args["attempt"] == 2
    assert len(world.tools.calls) == 1
    assert (await world.state(row.id)).success


async def test_verdicts_that_always_come_too_late_fail_the_node(world: World) -> None:
    late = [VerdictRefused(code="verdict_expired") for _ in range(9)]
    world.authority.not_admitted.extend(late)
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()

    assert len(world.gate.proposed) == 4
    assert (await world.state(row.id)).status == "failed"


async def test_a_verdict_on_other_arguments_is_not_used(world: World) -> None:
    async with world.engine() as engine:
        row = await world.row(one_call(), RISKY)
        decision_id = derived_id("dec", row.id, "act", "0", 1)
        world.gate.silent = True
        await world.start(engine, one_call(), RISKY, decision_id=row.decision_id)
        await world.settle()
        forged = world.gate.proposed[0].model_copy(
            update={"args": {"tool": "tick", "input": {"n": 2}}}
        )
        assert forged.id == decision_id
        await world.gate.rule(forged, world.gate.approve(forged))
        await world.settle()

    assert world.tools.calls == []
    assert (await world.state(row.id)).status == "failed"


async def test_a_refused_call_is_a_node_error_with_the_rule(world: World) -> None:
    world.gate.ruling = world.gate.refuse
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()

    state = await world.state(row.id)

    assert world.tools.calls == []
    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "refused"
    assert state.error.details["rules"] == ["never"]


async def test_a_refused_call_follows_its_error_edges(world: World) -> None:
    world.gate.ruling = world.gate.refuse
    workflow = flow(
        call("act"),
        end("done", did=True),
        end("not_done", did=False),
        edges="start act, act done, act not_done error",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, RISKY)
        await world.settle()

    assert (await world.state(row.id)).output == {"did": False}


@pytest.mark.parametrize(
    ("node", "reason"), [({}, "gate"), ({"approval": "required"}, "approval")]
)
async def test_awaiting_pauses_by_who_asked_and_a_grant_goes_on(
    world: World, node: JsonObject, reason: str
) -> None:
    world.gate.ruling = world.gate.ask
    async with world.engine() as engine:
        row = await world.start(engine, one_call(**node), RISKY)
        await world.settle()
        waiting = await world.get(row.id)
        decision = world.gate.proposed[0]
        await world.gate.rule(decision, world.gate.approve(decision))
        await world.settle()

    types = await world.types(row.id)

    assert waiting.lease is None
    assert waiting.state.paused_reason == reason
    assert waiting.state.waiting_on[0]["approval_id"] == derived_id("apr", decision.id)
    assert "point" not in waiting.state.waiting_on[0]
    assert types.index("approval_granted") < types.index("tool_call")
    assert len(world.tools.calls) == 1
    assert (await world.state(row.id)).success


async def test_a_low_risk_idempotent_call_needs_a_decision_only_if_its_node_asks(
    world: World,
) -> None:
    async with world.engine() as engine:
        await world.start(engine, one_call(), tool())
        await world.settle()
        assert world.gate.proposed == []
        await world.start(engine, one_call(approval="required"), tool())
        await world.settle()

    assert len(world.gate.proposed) == 1


async def test_a_run_that_is_its_one_judged_call_is_not_judged_again(
    world: World,
) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY, call_was_judged=True)
        await world.settle()

    assert world.gate.proposed == []
    assert (await world.state(row.id)).success


async def test_automatic_attempts_stay_under_the_same_decision(world: World) -> None:
    world.tools.answers("tick", Retryable(NO), Succeeded({}))
    policy = {"max_attempts": 2, "backoff_s": 1}
    async with world.engine() as engine:
        row = await world.start(engine, one_call(retry=policy), RISKY)
        await world.settle(2)

    assert len(world.gate.proposed) == 1
    assert len(world.tools.calls) == 2
    assert (await world.state(row.id)).success


async def test_an_attempt_that_a_person_asks_for_is_a_new_decision(
    world: World,
) -> None:
    world.gate.ruling = world.gate.refuse
    attended = {"kind": "api", "attended": True}
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY, origin=attended)
        await world.settle()
        world.gate.ruling = world.gate.approve
        await world.tell(row.id, "resume")
        await world.settle()

    assert [d.args["attempt"] for d in world.gate.proposed] == [1, 2]
    assert (await world.state(row.id)).success


async def test_an_approval_node_asks_and_its_output_says_who_agreed(
    world: World,
) -> None:
    world.gate.ruling = world.gate.ask
    async with world.engine() as engine:
        row = await world.start(engine, asking())
        await world.settle()
        decision = world.gate.proposed[0]
        waiting = await world.state(row.id)
        await world.gate.rule(decision, world.gate.approve(decision))
        await world.settle()

    state = await world.state(row.id)
    record = await world.store.decisions.get("default", decision.id)

    assert decision.action == "approval.request"
    assert decision.args == {
        "run_id": row.id,
        "node_id": "ask",
        "attempt": 1,
        "form": {"message": "May it?", "show": {"who": "Ada"}},
    }
    assert waiting.paused_reason == "approval"
    assert waiting.steps_state["ask"].status == "waiting"
    assert state.output["answer"]["approved"] is True
    assert record is not None
    assert record.state == "done"


async def test_an_approval_refused_fails_the_run_unless_an_edge_takes_it(
    world: World,
) -> None:
    world.gate.ruling = world.gate.ask
    with_edge = flow(
        approval(),
        end("yes", v="yes"),
        end("no", v="no", approved="${ask.approved}"),
        edges="start ask, ask yes, ask no refused",
    )
    async with world.engine() as engine:
        plain = await world.start(engine, asking())
        taken = await world.start(engine, with_edge)
        await world.settle()
        for decision in tuple(world.gate.proposed):
            await world.gate.rule(decision, world.gate.refuse(decision))

        await world.settle()

    assert (await world.state(plain.id)).status == "failed"
    assert "approval_refused" in await world.types(plain.id)
    assert (await world.state(taken.id)).output == {"v": "no", "approved": False}
    assert "node_error" not in await world.types(taken.id)


@pytest.mark.parametrize("told_by", ["verdict", "outcome"])
async def test_an_approval_nobody_answered_expires(world: World, told_by: str) -> None:
    world.gate.ruling = world.gate.ask
    async with world.engine() as engine:
        row = await world.start(engine, asking())
        await world.settle()
        decision = world.gate.proposed[0]
        if told_by == "verdict":
            await world.gate.rule(decision, world.gate.refuse(decision, "expired"))
        else:
            outcome = Outcome(decision_id=decision.id, state="expired")
            item = InboxItem(
                id=f"outcome:{decision.id}",
                kind="outcome",
                at=world.now,
                body=outcome.plain(),
            )
            await world.put(row.id, item)

        await world.settle()

    state = await world.state(row.id)

    assert "approval_expired" in await world.types(row.id)
    assert state.error is not None
    assert state.error.code == "expired"


async def test_who_takes_a_waiting_run_up_asks_what_became_of_its_question(
    world: World,
) -> None:
    world.gate.ruling = world.gate.ask
    async with world.engine() as first:
        row = await world.start(first, asking())
        await world.settle()

    async with world.engine() as second:
        signal = {"name": "hello", "payload": {}}
        await world.put(
            row.id, InboxItem(id="signal:1", kind="signal", at=world.now, body=signal)
        )
        second.nudge(row.id, row.tenant)
        await world.settle()

    asked = [proposed.id for proposed in world.gate.proposed]
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert (await world.types(row.id)).count("approval_requested") == 1


async def test_the_gate_is_asked_what_became_of_an_approval_that_ended_silently(
    world: World,
) -> None:
    world.gate.ruling = world.gate.ask
    async with world.engine() as engine:
        row = await world.start(engine, asking())
        await world.settle()
        waiting = await world.get(row.id)
        world.gate.ruling = lambda decision: world.gate.refuse(decision, "expired")
        await world.settle(640)

    assert waiting.wake_at == later(waiting.created_at, 630)
    assert len(world.gate.proposed) == 2
    assert world.gate.proposed[0].id == world.gate.proposed[1].id
    assert (await world.state(row.id)).status == "failed"


async def test_the_same_verdict_twice_makes_one_call(world: World) -> None:
    world.gate.silent = True
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()
        decision = world.gate.proposed[0]
        await world.gate.rule(decision, world.gate.approve(decision, 1))
        await world.gate.rule(decision, world.gate.approve(decision, 2))
        await world.settle()

    assert len(world.tools.calls) == 1
    assert (await world.state(row.id)).success
    assert await world.store.runs.drain("default", row.id) == ()


async def test_while_one_node_waits_for_people_the_others_go_on(world: World) -> None:
    world.gate.ruling = world.gate.ask
    workflow = flow(
        approval(),
        call("act"),
        end(act="${act}"),
        edges="start ask, start act, ask end, act end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()

    state = await world.state(row.id)

    assert state.steps_state["act"].status == "completed"
    assert state.steps_state["ask"].status == "waiting"
    assert state.paused_reason == "approval"


async def test_a_failure_starts_the_workflow_that_is_to_follow_it(
    world: World,
) -> None:
    follows = {"workflow": "tell-ops"}
    workflow = flow(
        {"id": "stop", "type": "fail"},
        end(),
        edges="start stop, start end if false",
        on_failure=follows,
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow)
        await world.settle()

    (proposed,) = world.gate.proposed

    assert proposed.action == "workflow.run"
    assert proposed.proposer.kind == "system"
    assert proposed.args["workflow"] == "tell-ops"
    assert proposed.args["input"]["run_id"] == row.id
    assert proposed.args["input"]["status"] == "failed"


async def test_the_failure_of_what_follows_a_failure_is_followed_by_nothing(
    world: World,
) -> None:
    workflow = flow(
        {"id": "stop", "type": "fail"},
        end(),
        edges="start stop, start end if false",
        on_failure={"workflow": "tell-ops"},
    )
    async with world.engine() as engine:
        origin = {"kind": "api", "id": "on_failure", "attended": False}
        await world.start(engine, workflow, origin=origin)
        await world.settle()

    assert world.gate.proposed == []


async def test_decisions_of_ended_runs_are_settled_by_the_sweep(world: World) -> None:
    faults = {"left": 1}
    kept = world.store.decisions.settle

    async def once_broken(*args: object) -> None:
        if faults["left"]:
            faults["left"] -= 1
            raise StoreUnavailable

        await kept(*args)  # type: ignore[arg-type]

    world.store.decisions.settle = once_broken  # type: ignore[method-assign, assignment]
    workflow = flow(call("act"), end(), edges="start act, act end")
    async with world.engine() as engine:
        row = await world.start(engine, workflow, RISKY)
        await world.settle()
        decision_id = world.gate.proposed[0].id
        before = await world.store.decisions.get("default", decision_id)
        await world.settle(60)

    after = await world.store.decisions.get("default", decision_id)

    assert (await world.state(row.id)).success
    assert before is not None
    assert before.state == "approved"
    assert after is not None
    assert after.state == "done"
