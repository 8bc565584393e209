"""Crashes, stopped processes and races: what was stored is what is gone on from."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import anyio
import pytest

from contracts import JsonObject, StoreUnavailable, later
from runs.effects import CallResult, Succeeded
from runs.tools import ToolCall
from store import Chances, Faults, FaultyStore
from tests.support.engines import World
from tests.support.flows import call, end, flow, one_call, tool, transform, wait
from tests.support.mortal import Process, When

TOOLS = (tool("safe"), tool("once", "non_idempotent"))
LONG_WAY = flow(
    transform("a", n="${start.n + 1}"),
    call("safe", "safe", input={"n": "${a.n}"}),
    call("once", "once", input={"n": "${safe.n + 1}"}),
    wait(seconds=10),
    call("again", "safe", input={"n": "${once.n + 1}"}),
    end(n="${again.n}"),
    edges="start a, a safe, safe once, once nap, nap again, again end",
)
APPENDS = 6
"""What a run of the long way appends if nothing happens to it."""


async def finish(world: World, run_id: str) -> None:
    """Let an undisturbed engine go on; a person answers what nobody can know."""
    async with world.engine():
        await world.settle(12)
        state = await world.state(run_id)
        if state.paused_reason == "needs_attention":
            sent = world.tools.keys().count(f"{run_id}:once:0")
            resolution = "happened" if sent else "did_not_happen"
            await world.tell(run_id, "resume", resolution=resolution, result={"n": 2})
            await world.settle(12)


async def test_an_undisturbed_run_takes_the_known_number_of_appends(
    world: World,
) -> None:
    process = Process(world.store)
    async with world.engine(store=process.store) as engine:
        row = await world.start(engine, LONG_WAY, *TOOLS, input={"n": 0})
        await world.settle(12)

    assert process.appends == APPENDS
    assert (await world.state(row.id)).output == {"n": 3}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("append", range(1, APPENDS + 1))
async def test_a_crash_at_any_append_loses_nothing_and_doubles_nothing(
    world: World, append: int, when: When
) -> None:
    process = Process(world.store)
    process.die_at(append, when)
    engine = await world.engine(store=process.store).__aenter__()
    row = await world.start(engine, LONG_WAY, *TOOLS, input={"n": 0})
    await world.settle(12)
    await process.kill(engine)
    await finish(world, row.id)

    state = await world.state(row.id)
    sent = Counter(world.tools.keys())

    assert process.died.is_set()
    assert state.output == {"n": 3}
    assert state.success
    assert sent[f"{row.id}:once:0"] == 1
    assert set(sent) == {f"{row.id}:{node}:0" for node in ("safe", "once", "again")}
    await world.log(row.id)


@pytest.mark.parametrize("append", [2, 4])
async def test_a_call_repeated_after_a_crash_carries_the_equal_key_and_body(
    world: World, append: int
) -> None:
    process = Process(world.store)
    process.die_at(append, "before")
    engine = await world.engine(store=process.store).__aenter__()
    row = await world.start(engine, one_call(), tool())
    await world.settle()
    await process.kill(engine)
    async with world.engine():
        await world.settle(1)

    bodies = {(made.key, str(made.input)) for made in world.tools.calls}

    assert len(bodies) == 1
    assert (await world.state(row.id)).success


async def test_an_idempotent_call_is_repeated_however_often_workers_crash(
    world: World,
) -> None:
    world.tools.holds("tick")
    row = await world.create(one_call(), tool())
    for _ in range(3):
        process = Process(world.store)
        engine = await world.engine(store=process.store).__aenter__()
        await world.settle(1)
        await process.kill(engine)

    world.tools.answers("tick", Succeeded({"n": 2}))
    async with world.engine():
        await world.settle(1)

    types = await world.types(row.id)

    assert types.count("tool_call") == 4
    assert types.count("tool_unknown") == 3
    assert types.count("run_claimed") == 4
    assert (await world.state(row.id)).steps_state["act"].attempt == 1
    assert (await world.state(row.id)).success


async def test_a_non_idempotent_call_without_an_answer_needs_attention(
    world: World,
) -> None:
    world.tools.holds("tick")
    process = Process(world.store)
    engine = await world.engine(store=process.store).__aenter__()
    row = await world.start(engine, one_call(), tool(effect="non_idempotent"))
    await world.settle(1)
    await process.kill(engine)
    async with world.engine():
        await world.settle(20)

    state = await world.state(row.id)

    assert state.paused_reason == "needs_attention"
    assert state.steps_state["act"].status == "unknown"
    assert len(world.tools.calls) == 1


async def test_a_stopped_worker_is_replaced_and_writes_nothing_when_it_wakes(
    world: World,
) -> None:
    free = world.tools.holds("tick")
    process = Process(world.store)
    stale = await world.engine(store=process.store).__aenter__()
    row = await world.start(stale, one_call(), tool())
    await world.settle(1)
    process.stop()
    async with world.engine(sweep_s=5) as other:
        await world.clock.advance(20)
        untouched = await world.types(row.id)
        await world.settle(15)
        taken = await world.get(row.id)
        process.go_on()
        free.set()
        await world.settle(1)
        await process.kill(stale)

    events = await world.log(row.id)
    claims = [e.payload["worker"] for e in events if e.type == "run_claimed"]

    assert untouched[-1] == "tool_call"
    assert taken.lease is not None
    assert taken.lease.owner == other.owner
    assert claims == [stale.owner, other.owner]
    assert len(set(world.tools.keys())) == 1
    assert [e.type for e in events].count("tool_result") == 1
    assert (await world.state(row.id)).success


async def test_a_worker_whose_claim_is_gone_intends_no_further_call(
    world: World,
) -> None:
    free = world.tools.holds("safe")
    process = Process(world.store)
    stale = await world.engine(store=process.store).__aenter__()
    row = await world.start(stale, LONG_WAY, *TOOLS, input={"n": 0})
    await world.settle(1)
    process.stop("runs.renew")
    await world.clock.advance(60)
    taken = await world.store.runs.claim(
        "default", row.id, owner="another", now=world.now, until=later(world.now, 9)
    )
    free.set()
    await world.settle()
    process.go_on()
    await world.settle(1)
    await process.kill(stale)
    told = Counter(await world.types(row.id))

    assert taken is not None
    assert (told["tool_result"], told["tool_call"]) == (1, 1)
    assert [call.node_id for call in world.tools.calls] == ["safe"]


async def test_a_live_lease_is_never_taken(world: World) -> None:
    free = world.tools.holds("tick")
    async with world.engine() as owner, world.engine() as other:
        row = await world.start(owner, one_call(), tool())
        for _ in range(10):
            await world.settle(6)
            await other.ring("default", row.id)

        assert other.running == 0
        free.set()
        await world.settle()

    assert (await world.types(row.id)).count("run_claimed") == 1


async def test_sixteen_engines_race_for_one_run_and_one_drives_it(
    world: World,
) -> None:
    row = await world.create(LONG_WAY, *TOOLS, input={"n": 0})
    engines = [world.engine() for _ in range(16)]
    for engine in engines:
        await engine.__aenter__()

    for _ in range(4):
        await asyncio.gather(*(e.ring("default", row.id) for e in engines))
        await world.settle(4)

    for engine in engines:
        await engine.__aexit__(None, None, None)

    assert set(Counter(world.tools.keys()).values()) == {1}
    assert (await world.state(row.id)).output == {"n": 3}
    await world.log(row.id)


async def test_an_embedded_store_gives_everything_to_the_process_that_starts(
    world: World,
) -> None:
    process = Process(world.store)
    engine = await world.engine(store=process.store).__aenter__()
    world.tools.holds("safe")
    rows = [
        await world.start(engine, LONG_WAY, *TOOLS, input={"n": n}) for n in range(5)
    ]
    await world.settle()
    await process.kill(engine)
    world.tools.scripts.clear()
    async with world.engine():
        await world.settle(12)

    assert [(await world.state(row.id)).output for row in rows] == [
        {"n": n + 3} for n in range(5)
    ]


async def test_a_store_that_is_away_loses_no_answer(world: World) -> None:
    faults = Faults()
    store = FaultyStore(world.store, faults)
    calls = 0

    async def script(_: ToolCall) -> CallResult:
        nonlocal calls
        calls += 1
        faults.chances["*"] = Chances(unavailable=1.0)
        return Succeeded({"n": 2})

    world.tools.scripts["tick"] = script
    async with world.engine(store=store) as engine:
        row = await world.start(engine, one_call(), tool(effect="non_idempotent"))
        await world.settle(60)
        assert calls == 1
        faults.chances.clear()
        await world.settle(6)

    assert (await world.state(row.id)).success
    assert calls == 1
    await world.log(row.id)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_runs_survive_a_store_that_fails_at_random(
    world: World, seed: int
) -> None:
    faults = Faults(seed, {"*": Chances(0.03, 0.03, 0.04)})
    store = FaultyStore(world.store, faults)
    rows = [await world.create(LONG_WAY, *TOOLS, input={"n": n}) for n in range(20)]
    async with world.engine(store=store) as first, world.engine(store=store):
        for _ in range(10):
            await world.settle(6)

        faults.chances.clear()
        for _ in range(10):
            await world.settle(6)

        assert first.owner

    assert sum(faults.happened.values()) > 20
    for row in rows:
        await world.log(row.id)
        state = await world.state(row.id)
        assert state.status == "completed" or state.paused_reason == "needs_attention"
        assert Counter(world.tools.keys())[f"{row.id}:once:0"] == 1


async def test_an_answer_is_concluded_from_any_stored_prefix_of_its_append(
    world: World,
) -> None:
    whole: list[JsonObject] = []
    kept = world.store.runs.append

    async def torn(tenant: str, run_id: str, append: object) -> None:
        """Store only the first event of each append, then break off."""
        first = append._replace(  # type: ignore[attr-defined]
            events=append.events[:1],  # type: ignore[attr-defined]
            state=None,
            release=False,
            handled=(),
        )
        await kept(tenant, run_id, first)
        whole.append({})
        raise asyncio.CancelledError

    row = await world.create(LONG_WAY, *TOOLS, input={"n": 0})
    for _ in range(60):
        world.store.runs.append = torn  # type: ignore[method-assign]
        process = Process(world.store)
        engine = await world.engine(store=process.store).__aenter__()
        await world.settle(0.1)
        await process.kill(engine)
        world.store.runs.append = kept  # type: ignore[method-assign]
        if len(whole) > 12:
            break

    await finish(world, row.id)

    assert (await world.state(row.id)).output == {"n": 3}
    assert Counter(world.tools.keys())[f"{row.id}:once:0"] == 1
    await world.log(row.id)


async def test_a_sweep_that_cannot_read_the_store_tries_again(world: World) -> None:
    faults = Faults()
    faults.next("runs.stale", "unavailable")
    row = await world.create(one_call(), tool())
    async with world.engine(store=FaultyStore(world.store, faults)) as engine:
        await world.settle(6)
        faults.next("runs.stale", "timeout")
        with pytest.raises(StoreUnavailable):
            await engine.sweep()

    assert (await world.state(row.id)).success


async def test_a_closed_engine_sweeps_no_more_though_a_driver_hid_its_cancellation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping, swept = anyio.Event(), 0

    async def stale(*_: Any, **__: Any) -> Any:
        nonlocal swept
        swept += 1
        sweeping.set()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            raise StoreUnavailable from None

    monkeypatch.setattr(world.store.runs, "stale", stale)
    async with world.engine():
        await sweeping.wait()

    await world.clock.advance(60)
    assert swept == 1
