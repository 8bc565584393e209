"""Nodes that ask a model: crashes between any two steps, budgets, late answers."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts import (
    Budget,
    FunctionResult,
    JsonObject,
    ModelAnswer,
    ModelRequest,
)
from tests.support.engines import World
from tests.support.flows import end, flow, tool
from tests.support.models import words
from tests.support.mortal import Process, When

STAGE: JsonObject = {
    "name": "pays",
    "instructions": "Pay twice.",
    "tools": ["safe", "once"],
}
THINKS = flow(
    {"id": "ask", "type": "model", "stage": "pays", "input": {"n": 1}},
    end(said="${ask.text}"),
    edges="start ask, ask end",
)
USED = (STAGE, tool("safe"), tool("once", "non_idempotent"))
APPENDS = 7
"""What such a run appends if nothing happens to it."""


def pays(request: ModelRequest) -> ModelAnswer:
    """First both functions at once, then the end."""
    results = [one for one in request.input if isinstance(one, FunctionResult)]
    if results:
        return words("Paid.")

    return words("", ("safe", '{"n": 1}'), ("once", '{"n": 2}'))


async def finish(world: World, run_id: str) -> None:
    """Let an undisturbed engine go on; a person answers what nobody can know."""
    async with world.engine():
        await world.settle(12)
        if (await world.state(run_id)).paused_reason == "needs_attention":
            sent = f"{run_id}:ask:1.1" in world.tools.keys()  # noqa: SIM118
            resolution = "happened" if sent else "did_not_happen"
            await world.tell(run_id, "resume", resolution=resolution, result={"n": 2})
            await world.settle(12)


async def test_an_undisturbed_run_takes_the_known_number_of_appends(
    world: World,
) -> None:
    world.model.rule = pays
    process = Process(world.store)
    async with world.engine(store=process.store) as engine:
        row = await world.start(engine, THINKS, *USED)
        await world.settle(12)

    assert (await world.state(row.id)).output == {"said": "Paid."}
    assert process.appends == APPENDS
    assert len(world.model.asked) == 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("append", range(1, APPENDS + 1))
async def test_a_crash_at_any_append_pays_for_no_stored_answer_twice(
    world: World, append: int, when: When
) -> None:
    world.model.rule = pays
    process = Process(world.store)
    process.die_at(append, when)
    engine = await world.engine(store=process.store).__aenter__()
    row = await world.start(engine, THINKS, *USED)
    await world.settle(12)
    await process.kill(engine)
    await finish(world, row.id)

    types = await world.types(row.id)
    sent = Counter(world.tools.keys())
    asked = Counter(len(one.input) for one in world.model.asked)
    assert process.died.is_set()
    assert (await world.state(row.id)).output == {"said": "Paid."}
    assert types.count("model_response") == 2
    assert max(asked.values()) <= 2, "one answer may get lost, and no more"
    assert sum(asked.values()) <= types.count("model_request")
    assert sent[f"{row.id}:ask:1.1"] <= 1
    assert set(sent) <= {f"{row.id}:ask:1.{n}" for n in range(2)}


async def test_a_call_beyond_the_budget_is_not_made(world: World) -> None:
    budget = Budget(scope="tenant", meter="tokens", limit=50, window="hour")
    async with world.engine(budgets=lambda: (budget,)) as engine:
        row = await world.start(engine, THINKS, *USED)
        await world.settle(1)

        state = await world.state(row.id)
        assert (state.status, state.paused_reason) == ("paused", "budget")
        assert world.model.asked == []


async def test_what_a_model_used_is_settled(world: World) -> None:
    budget = Budget(scope="tenant", meter="tokens", limit=150, window="day")
    used: list[int] = []
    async with world.engine(budgets=lambda: (budget,)) as engine:
        for _ in range(5):
            row = await world.start(engine, THINKS, *USED)
            await world.settle(1)
            used.append((await world.state(row.id)).usage.tokens)

    assert used == [18, 18, 18, 0, 0]
    assert len(world.model.asked) == 3, "18 tokens each; 100 are set aside before"


async def test_an_attempt_may_mend_what_was_not_there(world: World) -> None:
    away = words("", ending="unavailable", code="model_unavailable")
    world.model.will(away, words("Hello"))
    again = dict(THINKS["nodes"][1], retry={"max_attempts": 2, "backoff_s": 1})
    patient = {**THINKS, "nodes": [THINKS["nodes"][0], again, THINKS["nodes"][2]]}
    async with world.engine() as engine:
        row = await world.start(engine, patient, *USED)
        await world.settle(5)

    assert (await world.state(row.id)).output == {"said": "Hello"}
    assert (await world.types(row.id)).count("model_error") == 1
