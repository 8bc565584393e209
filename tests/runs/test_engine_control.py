"""Waits, signals, and what people ask of a run: cancel, resume, retry, start."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts import Fault, JsonObject, RunState
from runs.effects import CallResult, Failed, Succeeded, Unknown
from runs.tools import ToolCall
from tests.support.engines import World
from tests.support.flows import call, end, flow, one_call, tool, transform, wait

NO = Fault(code="effect_failed", message="It did not work.")
ATTENDED: JsonObject = {"kind": "api", "attended": True}
RISKY = tool(effect="non_idempotent")


def napping(**more: Any) -> JsonObject:
    return flow(wait(**more), end(nap="${nap}"), edges="start nap, nap end")


async def test_a_wait_pauses_without_claim_and_goes_on_at_its_time(
    world: World,
) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, napping(seconds=100))
        await world.settle(99)
        waiting = await world.get(row.id)
        await world.settle(3)

    assert waiting.lease is None
    assert waiting.state.paused_reason == "wait"
    assert waiting.wake_at == "2026-11-21T00:01:40.000Z"
    assert waiting.state.waiting_on[0]["until"] == waiting.wake_at
    assert (await world.state(row.id)).success


async def test_a_wait_may_be_computed(world: World) -> None:
    async with world.engine() as engine:
        by_length = await world.start(
            engine, napping(seconds="start.n * 2"), input={"n": 5}
        )
        by_time = await world.start(
            engine, napping(until="start.t"), input={"t": "2026-11-21T00:00:20Z"}
        )
        await world.settle()
        wake = [(await world.get(row.id)).wake_at for row in (by_length, by_time)]

    assert wake == ["2026-11-21T00:00:10.000Z", "2026-11-21T00:00:20.000Z"]


@pytest.mark.parametrize("seconds", ["'soon'", "-1", "true", "40000000"])
async def test_what_is_no_duration_breaks_the_node(world: World, seconds: str) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, napping(seconds=seconds))
        await world.settle()

    error = (await world.state(row.id)).error

    assert error is not None
    assert error.code == "out_of_range"


async def test_a_signal_ends_the_wait_for_it_and_is_its_output(world: World) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, napping(signal="go"))
        await world.settle()
        await world.tell(row.id, "signal", "signal:1", name="stop", payload={})
        await world.settle()
        still = await world.state(row.id)
        await world.tell(row.id, "signal", "signal:2", name="go", payload={"n": 1})
        await world.settle()

    assert still.status == "paused"
    assert (await world.state(row.id)).output == {"nap": {"n": 1}}


async def test_a_signal_that_comes_early_is_kept_even_over_a_pause(
    world: World,
) -> None:
    workflow = flow(
        wait("first", seconds=10),
        wait("then", signal="go", timeout_s=5),
        end(v="${then.n}"),
        edges="start first, first then, then end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow)
        await world.settle()
        await world.tell(row.id, "signal", "signal:1", name="go", payload={"n": 7})
        await world.settle()
        assert await world.store.runs.drain("default", row.id) == ()
        await world.settle(12)

    assert (await world.state(row.id)).output == {"v": 7}


async def test_a_signal_that_does_not_come_in_time_fails_the_node(
    world: World,
) -> None:
    workflow = flow(
        wait(signal="go", timeout_s=30),
        end("came", v=1),
        end("late", code="${nap.error.code}"),
        edges="start nap, nap came, nap late error",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow)
        await world.settle(31)

    assert (await world.state(row.id)).output == {"code": "signal_timeout"}


async def test_of_two_signals_of_one_name_a_wait_takes_one(world: World) -> None:
    workflow = flow(
        wait("one", signal="go"),
        wait("two", signal="go"),
        end(one="${one.n}", two="${two.n}"),
        edges="start one, one two, two end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow)
        await world.settle()
        for n in (1, 2):
            await world.tell(
                row.id, "signal", f"signal:{n}", name="go", payload={"n": n}
            )

        await world.settle()

    assert (await world.state(row.id)).output == {"one": 1, "two": 2}


async def test_cancel_stops_before_the_next_effect_and_records_the_one_under_way(
    world: World,
) -> None:
    free = world.tools.holds("tick")
    workflow = flow(
        call("one"), call("two"), end(), edges="start one, one two, two end"
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        await world.tell(row.id, "cancel", reason="enough")
        await world.settle()
        asked = await world.types(row.id)
        free.set()
        await world.settle()

    events = await world.log(row.id)
    types = [event.type for event in events]

    assert asked[-1] == "run_cancel_requested"
    assert types[-3:] == ["tool_result", "node_complete", "run_canceled"]
    assert events[-1].payload == {"reason": "enough"}
    assert len(world.tools.calls) == 1
    assert (await world.state(row.id)).status == "canceled"


async def test_cancel_ends_a_call_without_effect_at_once(world: World) -> None:
    world.tools.holds("tick")
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(effect="none"))
        await world.settle()
        await world.tell(row.id, "cancel")
        await world.settle()

    unknown = next(e for e in await world.log(row.id) if e.type == "tool_unknown")

    assert unknown.payload["reason"] == "canceled"
    assert (await world.state(row.id)).status == "canceled"


@pytest.mark.parametrize(
    "workflow",
    [
        napping(seconds=500),
        napping(signal="go"),
        one_call(on_error="pause"),
    ],
)
async def test_a_paused_run_can_be_canceled(world: World, workflow: JsonObject) -> None:
    world.tools.answers("tick", Failed(NO))
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        assert (await world.state(row.id)).status == "paused"
        await world.tell(row.id, "cancel")
        await world.settle()

    types = await world.types(row.id)

    assert types[-3:] == ["run_claimed", "run_cancel_requested", "run_canceled"]


async def test_a_queued_run_that_is_canceled_never_starts(world: World) -> None:
    row = await world.create(one_call(), tool())
    await world.tell(row.id, "cancel")
    async with world.engine():
        await world.settle(1)

    assert world.tools.calls == []
    assert await world.types(row.id) == [
        "run_created",
        "run_claimed",
        "run_cancel_requested",
        "run_canceled",
    ]


@pytest.mark.parametrize("how", ["resume", "retry"])
async def test_an_error_that_paused_is_tried_again_when_asked(
    world: World, how: str
) -> None:
    world.tools.answers("tick", Failed(NO), Succeeded({"n": 2}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(), origin=ATTENDED)
        await world.settle()
        paused = await world.state(row.id)
        await world.tell(row.id, how)  # type: ignore[arg-type]
        await world.settle()

    state = await world.state(row.id)

    assert paused.paused_reason == "error"
    assert paused.waiting_on[0]["point"] == str(paused.seq)
    assert state.success
    assert state.steps_state["act"].attempt == 2


async def test_an_answer_to_an_old_point_does_nothing(world: World) -> None:
    world.tools.answers("tick", Failed(NO))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(), origin=ATTENDED)
        await world.settle()
        old = (await world.state(row.id)).seq
        await world.tell(row.id, "resume")
        await world.settle()
        assert not await world.tell(row.id, "resume", f"answer:{old}")
        await world.tell(row.id, "retry", f"answer:{old - 1}")
        await world.settle()

    assert len(world.tools.calls) == 2
    assert (await world.state(row.id)).paused_reason == "error"


async def test_of_fifty_resumes_of_one_wait_one_continues_the_run(
    world: World,
) -> None:
    world.tools.answers("tick", Failed(NO), Succeeded({}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(), origin=ATTENDED)
        await world.settle()
        point = (await world.state(row.id)).waiting_on[0]["point"]
        won = await asyncio.gather(
            *(world.tell(row.id, "resume", f"answer:{point}") for _ in range(50))
        )
        await world.settle()

    assert won.count(True) == 1
    assert len(world.tools.calls) == 2
    assert (await world.types(row.id)).count("run_resumed") == 1


async def test_a_timer_answers_its_point_so_that_a_later_answer_is_too_late(
    world: World,
) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, napping(seconds=10))
        await world.settle()
        point = (await world.state(row.id)).waiting_on[0]["point"]
        await world.settle(11)

    assert not await world.tell(row.id, "resume", f"answer:{point}")
    assert (await world.state(row.id)).success


async def test_somebody_may_end_a_wait_before_its_time(world: World) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, napping(seconds=500))
        await world.settle()
        await world.tell(row.id, "resume", result={"why": "hurry"})
        await world.settle()

    assert (await world.state(row.id)).output == {"nap": {"why": "hurry"}}


@pytest.mark.parametrize(
    ("resolution", "calls", "output"),
    [("happened", 1, {"got": {"n": 9}}), ("did_not_happen", 2, {"got": {"n": 2}})],
)
async def test_a_person_says_whether_an_unknown_call_happened(
    world: World, resolution: str, calls: int, output: JsonObject
) -> None:
    world.tools.answers("tick", Unknown("lost", NO), Succeeded({"n": 2}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()
        asked = await world.state(row.id)
        await world.tell(row.id, "resume", resolution=resolution, result={"n": 9})
        await world.settle()

    assert asked.paused_reason == "needs_attention"
    assert asked.waiting_on[0]["reason"] == "lost"
    assert len(world.tools.calls) == calls
    assert (await world.state(row.id)).output == output


@pytest.mark.parametrize("how", ["resume", "retry"])
async def test_an_unknown_call_is_not_repeated_unless_somebody_says_how_it_was(
    world: World, how: str
) -> None:
    world.tools.answers("tick", Unknown("lost", NO))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), RISKY)
        await world.settle()
        await world.tell(row.id, how)  # type: ignore[arg-type]
        await world.settle()
        again = await world.state(row.id)
        await world.tell(row.id, "resume", resolution="happened", result={})
        await world.settle()

    assert len(world.tools.calls) == 1
    assert again.paused_reason == "needs_attention"
    assert (await world.state(row.id)).success


async def test_needs_attention_comes_before_failing(world: World) -> None:
    free = asyncio.Event()

    async def script(_: ToolCall) -> CallResult:
        await free.wait()
        return Failed(NO)

    world.tools.answers("tick", Unknown("lost", NO))
    world.tools.scripts["bad"] = script
    workflow = flow(
        call("act"),
        call("bad", "bad"),
        end(),
        edges="start act, start bad, act end, bad end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, RISKY, tool("bad"))
        await world.settle()
        free.set()
        await world.settle()
        asked = await world.state(row.id)
        await world.tell(row.id, "resume", resolution="happened")
        await world.settle()

    assert asked.paused_reason == "needs_attention"
    assert (await world.state(row.id)).status == "failed"


async def test_a_run_that_is_not_started_waits_until_it_is(world: World) -> None:
    unstarted = RunState(
        status="paused",
        paused_reason="not_started",
        waiting_on=({"node": None, "kind": "not_started", "point": "0"},),
    )
    row = await world.create(
        flow(transform("a", v=1), end(v="${a.v}"), edges="start a, a end"),
        state=unstarted,
    )
    async with world.engine() as engine:
        await engine.ring("default", row.id)
        await world.settle(10)
        untouched = await world.types(row.id)
        await world.tell(row.id, "start")
        await world.settle()

    types = await world.types(row.id)

    assert untouched == []
    assert types[:4] == ["run_created", "run_claimed", "run_resumed", "run_started"]
    assert (await world.state(row.id)).success


async def test_cancel_and_resume_at_once_have_one_end(world: World) -> None:
    free = world.tools.holds("tick")
    workflow = flow(
        wait(signal="go"), call("act"), end(), edges="start nap, nap act, act end"
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        await asyncio.gather(world.tell(row.id, "resume"), world.tell(row.id, "cancel"))
        free.set()
        await world.settle()

    assert (await world.types(row.id))[-1] == "run_canceled"
    assert (await world.state(row.id)).status == "canceled"


async def test_an_engine_without_a_free_slot_takes_the_run_when_one_is_free(
    world: World,
) -> None:
    free = world.tools.holds("tick")
    async with world.engine(max_parallel=1) as engine:
        first = await world.start(engine, one_call(), tool())
        await world.settle()
        second = await world.create(one_call(), tool())
        await engine.ring("default", second.id)
        assert not engine.free_slot()
        assert engine.running == 1
        free.set()
        await world.settle()

    assert (await world.state(first.id)).success
    assert (await world.state(second.id)).success


async def test_closing_records_the_call_under_way_and_gives_the_run_back(
    world: World,
) -> None:
    started = asyncio.Event()

    async def script(_: ToolCall) -> CallResult:
        started.set()
        await asyncio.sleep(0.05)
        return Succeeded({"n": 1})

    world.tools.scripts["tick"] = script
    workflow = flow(
        call("one"), call("two"), end(), edges="start one, one two, two end"
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await started.wait()

    stopped = await world.get(row.id)
    types = await world.types(row.id)
    async with world.engine():
        await world.settle(1)
        await asyncio.sleep(0.1)
        await world.settle()

    assert types.count("tool_call") == types.count("tool_result") == 1
    assert stopped.lease is None
    assert [c.node_id for c in world.tools.calls] == ["one", "two"]
    assert (await world.state(row.id)).success
