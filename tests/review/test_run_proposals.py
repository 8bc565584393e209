"""What a run proposes is judged and answered, whatever its workflow looks like."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts import LIMITS, Approved
from tests.support.clock import FakeClock
from tests.support.engines import World, open_world
from tests.support.gatehouse import GREET, Gatehouse, open_gatehouse, paying, tool
from tests.support.workflows import call, workflow


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    """A gate with a store."""
    async with open_gatehouse(FakeClock()) as opened:
        yield opened


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world for an engine."""
    async with open_world() as opened:
        yield opened


async def test_a_call_is_judged_though_its_workflow_names_one_to_follow_a_failure(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    followed = {**paying(), "on_failure": {"workflow": "greet"}}
    run = await house.run_of(followed, tool(risk="medium"))
    args = {"tool": "pay", "input": {"amount": 1}, "node_id": "pay"}

    verdict = await house.in_run(run, "tool.call", args)

    assert isinstance(verdict, Approved)


async def test_an_input_too_large_for_its_decision_fails_the_node(
    world: World,
) -> None:
    half = "x" * (LIMITS["message_bytes"] // 2 - 100)
    given = {"a": "${start.x}", "b": "${start.x}"}
    one = workflow([call("pay", "pay", input=given)], ["start>pay", "pay>end"])
    risky = tool(input_schema={"type": "object"})
    async with world.engine() as engine:
        row = await world.start(engine, one, risky, input={"x": half})
        await world.settle()

    state = await world.state(row.id)
    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "response_too_large"
    assert world.gate.proposed == []
