"""A model's node that is tried again goes on from what was already done and told."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from contracts import (
    Budget,
    Fault,
    FunctionResult,
    JsonObject,
    ModelAnswer,
    ModelRequest,
    VerdictRefused,
)
from runs.effects import Retryable, Succeeded
from tests.support.engines import World
from tests.support.flows import end, flow, tool
from tests.support.models import words
from tests.support.mortal import Process

STAGE: JsonObject = {"name": "pays", "instructions": "Pay.", "tools": ["safe", "once"]}
USED = (STAGE, tool("safe"), tool("once", "non_idempotent"))
AWAY = words("", ending="unavailable", code="model_unavailable")


def asking(**more: object) -> JsonObject:
    """A workflow of one model's node."""
    node = {"id": "ask", "type": "model", "stage": "pays", "input": {"n": 1}, **more}
    return flow(node, end(said="${ask}"), edges="start ask, ask end")


def told(request: ModelRequest) -> list[JsonObject]:
    """What the model was told of its functions."""
    results = [one for one in request.input if isinstance(one, FunctionResult)]
    return [json.loads(one.output) for one in results]


class Paying:
    """Calls the functions it is given once, then says Paid; away at times."""

    def __init__(self, *calls: tuple[str, str], away: int = 0) -> None:
        self.calls = calls
        self.away = away

    def __call__(self, request: ModelRequest) -> ModelAnswer:
        if not told(request):
            return words("", *self.calls)

        if self.away:
            self.away -= 1
            return AWAY

        return words("Paid.")


async def test_another_attempt_repeats_no_effect_and_no_paid_answer(
    world: World,
) -> None:
    world.model.rule = Paying(("once", '{"n": 1}'), away=1)
    async with world.engine() as engine:
        retry = {"max_attempts": 2, "backoff_s": 1}
        row = await world.start(engine, asking(retry=retry), *USED)
        await world.settle(30)

    types = Counter(await world.types(row.id))
    assert (await world.state(row.id)).output == {"said": {"text": "Paid."}}
    assert Counter(world.tools.keys()) == {f"{row.id}:ask:1.0": 1}
    assert (types["model_request"], types["model_response"]) == (3, 2)


async def test_a_repair_that_was_not_answered_is_asked_for_again(
    world: World,
) -> None:
    stage = {
        "name": "pays",
        "instructions": "x",
        "output_schema": {"type": "object"},
        "on_invalid": "repair_once",
    }
    world.model.will(words("no"), AWAY, words("{}"))
    async with world.engine() as engine:
        retry = {"max_attempts": 2, "backoff_s": 1}
        row = await world.start(engine, asking(retry=retry), stage)
        await world.settle(30)

    assert (await world.state(row.id)).output == {"said": {}}
    assert [len(one.input) for one in world.model.asked] == [1, 3, 3]


async def test_a_person_goes_on_from_what_was_done(world: World) -> None:
    world.model.rule = Paying(("once", '{"n": 1}'), away=1)
    async with world.engine() as engine:
        row = await world.start(engine, asking(on_error="pause"), *USED)
        await world.settle(5)
        assert (await world.state(row.id)).status == "paused"

        await world.tell(row.id, "retry")
        await world.settle(5)

    assert (await world.state(row.id)).output == {"said": {"text": "Paid."}}
    assert len(world.tools.calls) == 1


async def test_a_held_function_is_judged_again_alone(world: World) -> None:
    budget = Budget(scope="tenant", meter="calls", limit=1, window="minute")
    world.model.rule = Paying(("once", '{"n": 1}'), ("once", '{"n": 2}'))
    async with world.engine(budgets=lambda: (budget,)) as engine:
        row = await world.start(engine, asking(), *USED)
        await world.settle(400)

    assert (await world.state(row.id)).output == {"said": {"text": "Paid."}}
    assert [call.input for call in world.tools.calls] == [{"n": 1}, {"n": 2}]
    assert len(world.model.asked) == 2
    assert len({one.id for one in world.gate.proposed}) == 3


async def test_a_held_function_that_came_first_wakes_by_the_clock(
    world: World,
) -> None:
    budget = Budget(scope="tenant", meter="calls", limit=1, window="minute")

    def pays(request: ModelRequest) -> ModelAnswer:
        done = len(told(request))
        return words("", ("once", f'{{"n": {done}}}')) if done < 2 else words("Paid.")

    world.model.rule = pays
    async with world.engine(budgets=lambda: (budget,)) as engine:
        row = await world.start(engine, asking(), *USED)
        await world.settle(400)

    assert (await world.state(row.id)).output == {"said": {"text": "Paid."}}
    assert [call.input for call in world.tools.calls] == [{"n": 0}, {"n": 1}]


async def test_a_verdict_that_came_too_late_is_asked_for_again(world: World) -> None:
    world.model.rule = Paying(("once", '{"n": 1}'))
    late = VerdictRefused("Too late.", code="verdict_expired")
    async with world.engine() as engine:
        world.authority.not_admitted = [late]
        row = await world.start(engine, asking(), *USED)
        await world.settle(10)

    assert (await world.state(row.id)).output == {"said": {"text": "Paid."}}
    assert len(world.tools.calls) == 1


async def test_a_tool_that_may_be_called_again_is_under_one_key(world: World) -> None:
    world.model.rule = Paying(("safe", '{"n": 1}'))
    busy = Retryable(Fault(code="tool_unavailable", message="Busy."))
    world.tools.answers("safe", busy, Succeeded({"n": 1}))
    patient = {**tool("safe"), "retry": {"max_attempts": 3, "backoff_s": 1}}
    async with world.engine() as engine:
        row = await world.start(engine, asking(), STAGE, patient, USED[2])
        await world.settle(30)

    assert told(world.model.asked[-1]) == [{"state": "succeeded", "result": {"n": 1}}]
    assert Counter(world.tools.keys()) == {f"{row.id}:ask:1.0": 2}
    assert len(world.gate.proposed) == 1


async def test_asking_the_gate_again_takes_no_retry_from_a_tool(world: World) -> None:
    world.model.rule = Paying(("safe", '{"n": 1}'))
    busy = Retryable(Fault(code="tool_unavailable", message="Busy."))
    world.tools.answers("safe", busy, busy, Succeeded({"n": 1}))
    patient = {**tool("safe"), "retry": {"max_attempts": 3, "backoff_s": 1}}
    async with world.engine() as engine:
        world.authority.not_admitted = [
            VerdictRefused("Too late.", code="verdict_expired") for _ in range(2)
        ]
        await world.start(engine, asking(), STAGE, patient, USED[2])
        await world.settle(60)

    assert told(world.model.asked[-1]) == [{"state": "succeeded", "result": {"n": 1}}]
    assert len(world.tools.calls) == 3


async def test_a_call_that_was_lost_counts_beside_the_one_made_again(
    world: World,
) -> None:
    budget = Budget(scope="tenant", meter="tokens", limit=150, window="day")
    process = Process(world.store)
    process.die_at(1, "after")
    dying = world.engine(store=process.store, budgets=lambda: (budget,))
    engine = await dying.__aenter__()
    row = await world.start(engine, asking(), *USED)
    await world.settle(5)
    await process.kill(engine)
    async with world.engine(budgets=lambda: (budget,)):
        await world.settle(12)

    assert (await world.types(row.id)).count("model_request") == 1
    assert (await world.state(row.id)).paused_reason == "budget"


ODD = {
    "deep": '{"n": ' + "[" * 100_000,
    "nested": '{"n": ' * 400 + "1" + "}" * 400,
    "nan": '{"n": NaN}',
    "half": '{"n": "\\ud800"}',
    "infinite": '{"n": 1e999}',
    "large": '{"n": 99999999999999999999999}',
    "long": '{"n": ' + "9" * 5_000 + "}",
    "twice": '{"n": 1, "n": 2}',
}


@pytest.mark.parametrize("odd", ODD)
async def test_arguments_that_are_no_strict_json_reach_no_gate(
    world: World, odd: str
) -> None:
    world.model.rule = Paying(("once", ODD[odd]))
    async with world.engine() as engine:
        row = await world.start(engine, asking(), *USED)
        await world.settle(5)

    assert (await world.state(row.id)).status == "completed"
    assert told(world.model.asked[-1])[0]["code"] == "proposal_invalid"
    assert world.tools.calls == []


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_that_is_no_strict_json_breaks_its_contract(
    world: World, odd: str
) -> None:
    world.model.will(words(ODD[odd]))
    stage = {"name": "pays", "instructions": "x", "output_schema": {"type": "object"}}
    async with world.engine() as engine:
        row = await world.start(engine, asking(), stage)
        await world.settle(5)

    state = await world.state(row.id)
    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "stage_validation_failed"


@pytest.mark.parametrize("name", ["desk.look up", "mcp:server/tool", "x" * 80])
async def test_any_name_of_a_tool_is_one_that_a_model_can_call(
    world: World, name: str
) -> None:
    world.model.rule = lambda request: Paying((request.tools[0].name, '{"n": 1}'))(
        request
    )
    stage = {"name": "pays", "instructions": "x", "tools": [name]}
    async with world.engine() as engine:
        await world.start(engine, asking(), stage, tool(name))
        await world.settle(5)

    assert [call.tool.name for call in world.tools.calls] == [name]
    assert [one.args["tool"] for one in world.gate.proposed] == [name]
