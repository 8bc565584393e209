"""Calls: intent first, at most once where it must be, and the whole effect table."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from contracts import (
    Budget,
    Fault,
    JsonObject,
    PermanentError,
    RunState,
    StoreUnavailable,
)
from runs.effects import CallResult, Failed, Retryable, Succeeded, Unknown
from runs.tools import ToolCall
from tests.support.engines import World
from tests.support.flows import call, end, flow, one_call, tool

NO = Fault(code="effect_failed", message="It did not work.")
LOST = Fault(code="outcome_unknown", message="Nobody knows.")
THRICE = {"max_attempts": 3, "backoff_s": 10}


async def test_the_intent_is_stored_before_the_call_is_made(world: World) -> None:
    seen: list[str] = []

    async def script(made: ToolCall) -> CallResult:
        events = await world.store.runs.events("default", made.run_id, limit=99)
        seen.extend(event.type for event in events)
        return Succeeded({"n": 2})

    world.tools.scripts["tick"] = script
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()

    assert seen[-1] == "tool_call"
    assert (await world.state(row.id)).output == {"got": {"n": 2}}


async def test_an_effectful_node_adds_one_append(world: World) -> None:
    appends: list[int] = []
    kept = world.store.runs.append

    async def counted(tenant: str, run_id: str, append: Any) -> None:
        appends.append(len(append.events))
        await kept(tenant, run_id, append)

    world.store.runs.append = counted  # type: ignore[method-assign]
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()

    assert len(appends) == 2
    assert sum(appends) == len(await world.log(row.id))


async def test_a_call_names_its_run_node_and_index_as_its_key(world: World) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()

    (made,) = world.tools.calls

    assert made.key == f"{row.id}:act:0"
    assert made.input == {"n": 1}
    assert made.timeout_s == 5


@pytest.mark.parametrize("effect", ["none", "idempotent", "non_idempotent"])
@pytest.mark.parametrize(
    ("result", "once", "repeatable"),
    [
        (Succeeded({"n": 2}), "completed", "completed"),
        (Failed(NO), "failed", "failed"),
        (Retryable(NO), "retry", "retry"),
        (Unknown("timeout", LOST), "needs_attention", "retry"),
        (Unknown("lost", LOST), "needs_attention", "retry"),
    ],
)
async def test_a_call_ends_as_the_effect_table_says(
    world: World, effect: str, result: CallResult, once: str, repeatable: str
) -> None:
    world.tools.answers("tick", result)
    async with world.engine() as engine:
        row = await world.start(engine, one_call(retry=THRICE), tool(effect=effect))
        await world.settle(1)
        fate = fate_of(await world.state(row.id))
        await world.settle(60)
        calls = len(world.tools.calls)

    assert fate == (once if effect == "non_idempotent" else repeatable)
    assert calls == (3 if fate == "retry" else 1)
    assert len(set(world.tools.keys())) == 1
    await world.log(row.id)


def fate_of(state: RunState) -> str:
    if state.status == "paused":
        waiting = state.paused_reason == "wait"
        return "retry" if waiting else str(state.paused_reason)

    return state.status


async def test_attempts_wait_twice_as_long_each_time_and_keep_the_key(
    world: World,
) -> None:
    world.tools.answers("tick", Retryable(NO), Retryable(NO), Succeeded({"n": 3}))
    policy = {"max_attempts": 3, "backoff_s": 1}
    async with world.engine() as engine:
        row = await world.start(engine, one_call(retry=policy), tool())
        await world.settle(0.9)
        assert len(world.tools.calls) == 1
        await world.settle(0.3)
        assert len(world.tools.calls) == 2
        await world.settle(1.5)
        assert len(world.tools.calls) == 2
        await world.settle(1.0)

    state = await world.state(row.id)

    assert state.success
    assert state.steps_state["act"].attempt == 3
    assert [made.attempt for made in world.tools.calls] == [1, 2, 3]


async def test_a_retry_waits_at_least_as_long_as_it_was_asked_to(world: World) -> None:
    world.tools.answers("tick", Retryable(NO, after_s=100), Succeeded({}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(retry=THRICE), tool())
        await world.settle(99)
        assert len(world.tools.calls) == 1
        waiting = await world.get(row.id)
        await world.settle(3)

    assert waiting.lease is None
    assert waiting.state.paused_reason == "wait"
    assert (await world.state(row.id)).success


async def test_without_a_policy_there_is_one_attempt(world: World) -> None:
    world.tools.answers("tick", Retryable(NO))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle(100)

    assert len(world.tools.calls) == 1
    assert (await world.state(row.id)).error == NO


async def test_the_tools_own_retry_policy_counts_where_the_node_has_none(
    world: World,
) -> None:
    world.tools.answers("tick", Retryable(NO), Succeeded({}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(retry={"max_attempts": 2}))
        await world.settle(2)

    assert (await world.state(row.id)).success


async def test_a_call_that_does_not_answer_in_time_is_given_up(world: World) -> None:
    world.tools.holds("tick")
    async with world.engine() as engine:
        row = await world.start(
            engine, one_call(timeout_s=0.05), tool(effect="non_idempotent")
        )
        await world.settle()
        await anyio.sleep(0.2)
        await world.settle()

    unknown = [e for e in await world.log(row.id) if e.type == "tool_unknown"]

    assert unknown[0].payload["reason"] == "timeout"
    assert (await world.state(row.id)).paused_reason == "needs_attention"


async def test_what_was_done_but_answered_badly_fails_the_run_and_is_not_repeated(
    world: World,
) -> None:
    world.tools.answers("tick", Succeeded(None, NO))
    async with world.engine() as engine:
        row = await world.start(
            engine, one_call(on_error="continue", retry=THRICE), tool()
        )
        await world.settle(60)

    assert "tool_result" in await world.types(row.id)
    assert (await world.state(row.id)).status == "failed"
    assert len(world.tools.calls) == 1


async def test_an_answer_that_breaks_the_tools_schema_fails_the_run(
    world: World,
) -> None:
    world.tools.answers("tick", Succeeded({"n": "x"}))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(output_schema=schema))
        await world.settle()

    state = await world.state(row.id)

    assert state.error is not None
    assert state.error.code == "output_invalid"


async def test_an_input_that_breaks_the_tools_schema_is_never_sent(
    world: World,
) -> None:
    schema = {"type": "object", "required": ["missing"]}
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(input_schema=schema))
        await world.settle()

    assert world.tools.calls == []
    assert (await world.state(row.id)).status == "failed"


async def test_an_answer_over_the_limit_is_refused(world: World) -> None:
    world.tools.answers("tick", Succeeded({"big": "x" * 300_000}))
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()

    state = await world.state(row.id)

    assert state.error is not None
    assert state.error.code == "response_too_large"


@pytest.mark.parametrize(
    ("on_error", "attended", "status"),
    [
        (None, False, "failed"),
        (None, True, "paused"),
        ("fail", True, "failed"),
        ("pause", False, "paused"),
        ("continue", True, "completed"),
        ("continue", False, "completed"),
    ],
)
async def test_on_error_decides_and_its_default_is_who_waits(
    world: World, on_error: str | None, attended: bool, status: str
) -> None:
    world.tools.answers("tick", Failed(NO))
    more: JsonObject = {} if on_error is None else {"on_error": on_error}
    async with world.engine() as engine:
        row = await world.start(
            engine,
            one_call(**more),
            tool(),
            origin={"kind": "api", "attended": attended},
        )
        await world.settle()

    state = await world.state(row.id)

    assert state.status == status
    assert state.steps_state["act"].status == "failed"
    assert ("run_paused" in await world.types(row.id)) == (status == "paused")


async def test_continue_never_pauses_and_later_nodes_see_the_error(
    world: World,
) -> None:
    world.tools.answers("tick", Failed(NO))
    workflow = one_call(on_error="continue")
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()

    output = (await world.state(row.id)).output

    assert output["got"]["error"]["code"] == "effect_failed"


async def test_an_error_edge_is_taken_instead_of_failing(world: World) -> None:
    world.tools.answers("tick", Failed(NO))
    workflow = flow(
        call("act"),
        end("ok", ok=True),
        end("sorry", code="${act.error.code}"),
        edges="start act, act ok, act sorry error",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()

    state = await world.state(row.id)

    assert state.output == {"code": "effect_failed"}
    assert state.steps_state["ok"].status == "skipped"


async def test_ready_calls_run_at_the_same_time_up_to_the_limit(world: World) -> None:
    free = world.tools.holds("tick")
    names = [f"n{i}" for i in range(10)]
    workflow = flow(
        *(call(name) for name in names),
        end(),
        edges=", ".join(f"start {n}, {n} end" for n in names),
    )
    async with world.engine(node_parallel=4) as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        at_once = len(world.tools.calls)
        free.set()
        await world.settle()

    assert at_once == 4
    assert len(world.tools.calls) == 10
    assert (await world.state(row.id)).success


async def test_calls_that_end_together_are_recorded_together(world: World) -> None:
    free = world.tools.holds("tick")
    workflow = flow(call("a"), call("b"), end(), edges="start a, start b, a end, b end")
    appends: list[list[str]] = []
    kept = world.store.runs.append

    async def watched(tenant: str, run_id: str, append: Any) -> None:
        appends.append([event.type for event in append.events])
        await kept(tenant, run_id, append)

    world.store.runs.append = watched  # type: ignore[method-assign]
    async with world.engine() as engine:
        await world.start(engine, workflow, tool())
        await world.settle()
        free.set()
        await world.settle()

    assert len(appends) == 2
    assert appends[0][-2:] == ["tool_call", "tool_call"]
    assert appends[1].count("tool_result") == 2


async def test_one_failure_lets_the_calls_under_way_be_recorded_first(
    world: World,
) -> None:
    free = world.tools.holds("slow")
    world.tools.answers("tick", Failed(NO))
    workflow = flow(
        call("bad"),
        call("slow", "slow"),
        call("later"),
        end(),
        edges="start bad, start slow, slow later, bad end, later end",
    )
    async with world.engine() as engine:
        row = await world.start(engine, workflow, tool(), tool("slow"))
        await world.settle()
        assert (await world.types(row.id))[-1] == "node_error"
        free.set()
        await world.settle()

    types = await world.types(row.id)

    assert types[-1] == "workflow_error"
    assert types.count("tool_result") == 1
    assert [c.node_id for c in world.tools.calls] == ["bad", "slow"]


async def test_what_is_frozen_waits_and_goes_on_when_somebody_resumes(
    world: World,
) -> None:
    world.authority.refusals["tick"] = PermanentError("Frozen.", code="frozen")
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()
        frozen = await world.state(row.id)
        calls = len(world.tools.calls)
        world.authority.refusals.clear()
        await world.tell(row.id, "resume")
        await world.settle()

    assert calls == 0
    assert frozen.paused_reason == "frozen"
    assert frozen.steps_state["act"].status == "waiting"
    assert (await world.state(row.id)).success


async def test_a_lost_permission_is_an_error_of_the_node(world: World) -> None:
    world.authority.refusals[""] = PermanentError("No.", code="forbidden")
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle()

    state = await world.state(row.id)

    assert world.tools.calls == []
    assert state.error is not None
    assert state.error.code == "forbidden"


async def test_a_used_up_budget_pauses_the_run_until_its_next_window(
    world: World,
) -> None:
    budget = Budget(scope="tenant", meter="calls", window="minute", limit=1)
    workflow = flow(
        call("one"), call("two"), end(), edges="start one, one two, two end"
    )
    async with world.engine(budgets=lambda: (budget,)) as engine:
        row = await world.start(engine, workflow, tool())
        await world.settle()
        held = await world.get(row.id)
        calls = len(world.tools.calls)
        await world.settle(61)

    assert calls == 1
    assert held.state.paused_reason == "budget"
    assert held.wake_at == "2026-11-21T00:01:00.000Z"
    assert (await world.state(row.id)).success
    use = await world.store.budgets.use(
        "default", "tenant", "default", "calls", "minute:2026-11-21T00:01"
    )
    assert (use.settled, use.reserved) == (1.0, 0.0)


async def test_an_authority_that_cannot_tell_keeps_the_call_from_being_made(
    world: World,
) -> None:
    world.authority.refusals[""] = StoreUnavailable()
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool())
        await world.settle(3)
        calls = len(world.tools.calls)
        world.authority.refusals.clear()
        await world.settle(3)

    assert calls == 0
    assert (await world.state(row.id)).success


async def test_a_tool_that_nobody_here_can_call_fails_with_its_name(
    world: World,
) -> None:
    async with world.engine() as engine:
        row = await world.start(engine, one_call(), tool(kind="mcp", server="s"))
        await world.settle()

    error = (await world.state(row.id)).error

    assert error is not None
    assert error.code == "tool_not_found"
    assert error.details == {"missing_tool_id": "tick"}
