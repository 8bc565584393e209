"""Runs of nodes that touch nothing outside: one append each."""

from __future__ import annotations

import itertools
from typing import Any

from contracts import JsonObject, RunEvent, RunState
from runs.effects import Succeeded
from tests.support.engines import World
from tests.support.flows import call, end, flow, tool, transform

GREET = flow(
    transform("shout", text="${start.name.upperAscii()}"),
    end(greeting="Hello ${shout.text}"),
    edges="start shout, shout end",
)


async def run(world: World, workflow: JsonObject, **more: Any) -> RunState:
    async with world.engine() as engine:
        row = await world.start(engine, workflow, **more)
        await world.settle()

    await world.log(row.id)
    return await world.state(row.id)


async def test_a_pure_run_completes_in_one_append(world: World) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, GREET)
        await world.settle()

    state = await world.state(row.id)

    assert await world.types(row.id) == [
        "run_created",
        "run_claimed",
        "run_started",
        "node_start",
        "node_complete",
        "node_start",
        "node_complete",
        "node_start",
        "node_complete",
        "workflow_complete",
    ]
    assert state.success
    assert state.output == {"greeting": "Hello ADA"}
    assert (await world.get(row.id)).lease is None


async def test_every_event_of_one_append_is_broadcast_and_then_the_end(
    world: World,
) -> None:
    heard: list[Any] = []
    async with world.engine() as engine:
        row = await world.row(GREET)
        async with world.bus.listen(f"run:{row.id}") as hot:
            started = await world.start(engine, GREET, decision_id=row.decision_id)
            await world.settle()
            while len(heard) < 11:
                heard.append((await anext(hot)).body)

    events = await world.log(started.id)

    assert [said.event for said in heard[:-1]] == list(events)
    assert heard[-1].run_id == row.id
    assert heard[-1].status == "completed"


async def test_only_the_branch_that_holds_is_taken(world: World) -> None:
    workflow = flow(
        {
            "id": "pick",
            "type": "branch",
            "cases": [
                {"when": "size(start.name) > 5", "to": "long"},
                {"when": "size(start.name) > 2", "to": "middle"},
            ],
            "default": "short",
        },
        transform("long", v=1),
        transform("middle", v=2),
        transform("short", v=3),
        end(v="${middle.v}", picked="${pick.to}"),
        edges="start pick, long end, middle end, short end",
    )

    state = await run(world, workflow)

    assert state.output == {"v": 2, "picked": "middle"}
    assert state.steps_state["long"].status == "skipped"
    assert state.steps_state["short"].status == "skipped"


async def test_all_edges_without_a_condition_are_taken(world: World) -> None:
    workflow = flow(
        transform("a", v=1),
        transform("b", v=2),
        end(sum="${a.v + b.v}"),
        edges="start a, start b, a end, b end",
    )

    assert (await run(world, workflow)).output == {"sum": 3}


async def test_otherwise_is_taken_only_if_no_condition_held(world: World) -> None:
    workflow = flow(
        transform("a", v=1),
        transform("b", v=2),
        end(a="${a}", b="${b}"),
        edges="start a if start.name == 'Bob', start b otherwise, a end, b end",
    )

    assert (await run(world, workflow)).output == {"a": None, "b": {"v": 2}}
    bob = await run(world, workflow, input={"name": "Bob"})
    assert bob.output == {"a": {"v": 1}, "b": None}


async def test_a_join_of_all_waits_for_the_branches_that_can_still_arrive(
    world: World,
) -> None:
    workflow = flow(
        transform("a", v=1),
        transform("b", v=2),
        transform("c", v=3),
        end(c="${c.v}"),
        edges="start a if false, start b, b c, a end, c end",
    )

    state = await run(world, workflow)

    assert state.output == {"c": 3}
    assert state.steps_state["a"].status == "skipped"


async def test_a_join_of_any_goes_on_with_the_first_and_once(world: World) -> None:
    free = world.tools.holds("tick")
    workflow = flow(
        call("slow"),
        transform("quick", v=1),
        {"id": "first", "type": "transform", "join": "any", "output": {"q": "${slow}"}},
        end(first="${first}"),
        edges="start slow, start quick, slow first, quick first, first end, slow end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        before = await world.types(row.id)
        free.set()
        await world.settle()

    assert before[-1] == "tool_call"
    assert (await world.state(row.id)).output == {"first": {"q": None}}


async def test_a_fail_node_ends_the_run_with_its_error(world: World) -> None:
    workflow = flow(
        {
            "id": "stop",
            "type": "fail",
            "code": "too_bad",
            "message": "No ${start.name}",
        },
        end(),
        edges="start stop, start end if false",
    )

    state = await run(world, workflow)

    assert state.status == "failed"
    assert state.error is not None
    assert (state.error.code, state.error.message) == ("too_bad", "No Ada")
    assert not state.success


async def test_an_input_that_breaks_its_schema_fails_the_run(world: World) -> None:
    workflow = flow(end(), edges="start end")
    workflow["nodes"][0] = {
        "id": "start",
        "type": "workflow_start",
        "input_schema": {"type": "object", "required": ["age"]},
    }

    state = await run(world, workflow)

    assert state.error is not None
    assert state.error.code == "input_invalid"


async def test_an_output_that_breaks_its_schema_fails_the_run(world: World) -> None:
    broken = end(n="text")
    broken["output_schema"] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
    }

    state = await run(world, flow(broken, edges="start end"))

    assert state.error is not None
    assert state.error.code == "output_invalid"
    assert state.error.details["validation_error_path"] == "/n"


async def test_an_expression_that_fails_breaks_its_node(world: World) -> None:
    workflow = flow(
        transform("a", v="${start.nothing.here}"), end(), edges="start a, a end"
    )

    state = await run(world, workflow)

    assert state.status == "failed"
    assert state.steps_state["a"].error is not None
    assert state.steps_state["a"].error.code == "cel_no_such_field"


async def test_an_error_edge_catches_what_an_expression_raised(world: World) -> None:
    workflow = flow(
        transform("a", v="${start.nothing.here}"),
        end("ok", v=1),
        end("sorry", code="${a.error.code}"),
        edges="start a, a ok, a sorry error",
    )

    state = await run(world, workflow)

    assert state.success
    assert state.output == {"code": "cel_no_such_field"}


async def test_a_run_in_which_no_end_was_reached_has_failed(world: World) -> None:
    workflow = flow(end(), edges="start end if false")

    state = await run(world, workflow)

    assert state.status == "failed"


async def test_an_output_that_is_too_large_is_refused(world: World) -> None:
    workflow = flow(transform("a", v="${start.big}"), end(), edges="start a, a end")

    state = await run(world, workflow, input={"big": "x" * 300_000})

    assert state.error is not None
    assert state.error.code == "response_too_large"


async def test_a_run_whose_outputs_are_together_too_large_fails(
    world: World,
) -> None:
    names = [f"copy_{n}" for n in range(45)]
    copies = [transform(name, v="${start.big}") for name in names]
    chain = ", ".join(
        f"{a} {b}" for a, b in itertools.pairwise(["start", *names, "end"])
    )

    state = await run(
        world, flow(*copies, end(), edges=chain), input={"big": "x" * 200_000}
    )

    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "run_too_large"
    assert "copy_41" in state.error.message


async def test_a_serial_run_goes_node_by_node_and_says_where_it_is(
    world: World,
) -> None:
    free = world.tools.holds("tick")
    workflow = flow(
        call("one"),
        call("two"),
        end(),
        edges="start one, start two, one end, two end",
        serial=True,
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        first = await world.log(row.id)
        free.set()
        await world.settle()

    assert [e.node_id for e in first if e.type == "node_start"] == ["start", "one"]
    assert [e.payload["step"] for e in await starts(world, row.id)] == [0, 1, 2, 3]
    assert (await world.state(row.id)).current_step_index == 3


async def starts(world: World, run_id: str) -> list[RunEvent]:
    return [event for event in await world.log(run_id) if event.type == "node_start"]


async def test_results_of_an_earlier_run_are_carried_and_not_computed_again(
    world: World,
) -> None:
    workflow = flow(
        call("one"),
        call("two"),
        transform("after", n="${two.n}"),
        end(one="${one.n}", two="${after.n}"),
        edges="start one, one two, two after, after end",
    )
    carried = {"start": {}, "one": {"n": 41}, "after": {"n": "stale"}}
    async with world.engine() as engine:
        row = await world.start(
            engine, workflow, ticking(world), carried=carried, retry_of=None
        )
        await world.settle()

    assert [c.node_id for c in world.tools.calls] == ["two"]
    assert (await world.state(row.id)).output == {"one": 41, "two": 7}
    carried_nodes = [
        e.node_id for e in await starts(world, row.id) if "carried" in e.payload
    ]
    assert carried_nodes == ["start", "one"]


def ticking(world: World) -> JsonObject:
    world.tools.answers("tick", Succeeded({"n": 7}))
    return tool()


async def test_a_run_whose_definition_is_gone_fails_and_says_so(world: World) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, GREET, pins={"workflow:flow": "sha256:gone"})
        await world.settle()

    state = await world.state(row.id)

    assert state.error is not None
    assert state.error.code == "expired"


async def test_long_chains_of_skipped_nodes_are_no_trouble(world: World) -> None:
    names = [f"n{i}" for i in range(400)]
    pairs = ", ".join(f"{a} {b}" for a, b in itertools.pairwise(names))
    workflow = flow(
        *(transform(name, v=1) for name in names),
        end(done=True),
        edges=f"start n0 if false, start end, {pairs}, n399 end",
    )

    state = await run(world, workflow)

    assert state.output == {"done": True}
    assert state.steps_state["n399"].status == "skipped"
