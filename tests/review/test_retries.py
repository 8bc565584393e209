"""A retry never does more than what was judged: not by time, not by another run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts import Fault, RunState, digest
from runs.effects import Failed
from tests.support.engines import World, open_world
from tests.support.entrance import TENANT, Entrance, open_entrance
from tests.support.gatehouse import tool
from tests.support.stored import run
from tests.support.workflows import call, workflow

RISKY = tool("pay", input_schema={"type": "object"})


@pytest.fixture
async def door() -> AsyncIterator[Entrance]:
    """The entry before an empty store."""
    async with open_entrance() as entrance:
        yield entrance


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world for an engine."""
    async with open_world() as opened:
        yield opened


async def test_a_retry_judged_in_place_starts_no_run_of_one_that_ended_meanwhile(
    door: Entrance,
) -> None:
    row = run(state=RunState(seq=9, status="failed", terminal_event="workflow_error"))
    await door.store.runs.create(row)
    args = {"run_id": row.id}
    bound = digest({"action": "run.retry", "args": args, "pins": {}})
    verdict = await door.approve("run.retry", args, pins={}, action_digest=bound)

    outcome = await door.entry.perform(verdict)

    assert outcome.error is not None
    assert outcome.error.code == "not_waiting"
    assert door.worker.started == []


async def test_a_retry_of_an_ended_call_has_that_call_judged_again(
    door: Entrance,
) -> None:
    ended = RunState(seq=9, status="failed", terminal_event="workflow_error")
    row = run(state=ended, call_was_judged=True)
    await door.store.runs.create(row)

    outcome = await door.entry.perform(
        await door.approve("run.retry", {"run_id": row.id})
    )

    again = await door.store.runs.get(TENANT, str(outcome.result["run_id"]))
    assert again is not None
    assert not again.call_was_judged


async def test_an_attempt_that_a_person_wants_is_judged_by_itself(
    world: World,
) -> None:
    world.tools.answers("pay", Failed(Fault(code="no", message="No.")))
    one = workflow([call("pay", "pay", on_error="pause")], ["start>pay", "pay>end"])
    async with world.engine() as engine:
        row = await world.start(engine, one, RISKY, call_was_judged=True)
        await world.settle()
        assert world.gate.proposed == []

        await world.tell(row.id, "resume")
        await world.settle()

    assert [decision.action for decision in world.gate.proposed] == ["tool.call"]


async def test_a_signal_starts_no_run_that_was_not_started(door: Entrance) -> None:
    waits = {"node": None, "kind": "not_started", "point": "0"}
    waiting = RunState(
        status="paused", paused_reason="not_started", waiting_on=(waits,)
    )
    row = run(state=waiting)
    await door.store.runs.create(row)
    args = {"run_id": row.id, "name": "go", "payload": {}}

    outcome = await door.entry.perform(await door.approve("run.signal", args))

    assert outcome.error is not None
    assert outcome.error.code == "not_waiting"
    assert await door.store.runs.drain(TENANT, row.id) == ()
