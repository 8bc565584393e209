"""What every store promises about uses of verdicts outside runs."""

from __future__ import annotations

import anyio

from contracts import EffectRow
from store import Store
from tests.support.stored import TENANT, at, effect, outcome, record, told


async def test_the_first_consumer_claims_and_the_second_gets_the_first_row(
    store: Store,
) -> None:
    said = await store.decisions.record(record())
    first = effect(said, token="a")

    assert await store.effects.consume(first) == (first, True)
    assert await store.effects.consume(effect(said, token="b")) == (first, False)
    assert await store.effects.get(TENANT, said.id, "0") == first


async def test_an_own_claim_come_back_is_recognised_by_its_token(store: Store) -> None:
    first = effect(record(), token="a")
    await store.effects.consume(first)

    assert await store.effects.consume(first) == (first, True)


async def test_a_claim_without_a_token_is_never_recognised(store: Store) -> None:
    first = effect(record())
    await store.effects.consume(first)

    assert await store.effects.consume(first) == (first, False)


async def test_a_verdict_used_a_thousand_times_is_used_once(store: Store) -> None:
    said = await store.decisions.record(record())
    ours: list[EffectRow] = []

    async def use(n: int) -> None:
        row, claimed = await store.effects.consume(effect(said, token=str(n)))
        if claimed:
            ours.append(row)

    async with anyio.create_task_group() as tasks:
        for n in range(1_000):
            tasks.start_soon(use, n)

    assert len(ours) == 1
    assert await store.effects.get(TENANT, said.id, "0") == ours[0]


async def test_indexes_of_one_decision_are_used_apart(store: Store) -> None:
    said = await store.decisions.record(record())

    for index in ("0", "1", "items/1"):
        assert (await store.effects.consume(effect(said, index=index)))[1]


async def test_a_finished_effect_settles_its_decision(store: Store) -> None:
    said = await store.decisions.record(record())
    await store.effects.consume(effect(said))
    end = outcome(said, "succeeded", {"version": 1})
    done = effect(said, state="succeeded", outcome=end, finished_at=at(1))

    await store.effects.finish(done)

    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert (stored.state, stored.outcome, stored.settled_at) == ("done", end, at(1))
    assert await store.effects.get(TENANT, said.id, "0") == done
    kinds = [entry.kind for entry in await told(store, said.id)]
    assert kinds == ["decision", "outcome"]


async def test_the_first_end_of_an_effect_stays(store: Store) -> None:
    said = await store.decisions.record(record())
    await store.effects.consume(effect(said))
    first = effect(
        said, state="unknown", outcome=outcome(said, "unknown"), finished_at=at(1)
    )
    second = effect(said, state="succeeded", outcome=outcome(said), finished_at=at(2))
    await store.effects.finish(first)
    await store.effects.finish(second)

    assert await store.effects.get(TENANT, said.id, "0") == first
    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert stored.state == "unknown"


async def test_an_effect_nobody_claimed_is_not_finished(store: Store) -> None:
    said = await store.decisions.record(record())
    end = effect(said, state="succeeded", outcome=outcome(said), finished_at=at(1))

    await store.effects.finish(end)

    assert await store.effects.get(TENANT, said.id, "0") is None
    assert await store.decisions.get(TENANT, said.id) == said


async def test_an_effect_of_another_tenant_is_as_absent_as_an_unknown_one(
    store: Store,
) -> None:
    said = await store.decisions.record(record())
    await store.effects.consume(effect(said))

    assert await store.effects.get("other", said.id, "0") is None
    assert (await store.effects.consume(effect(said, tenant="other")))[1]


async def test_unfinished_are_the_claims_of_all_tenants_left_behind(
    store: Store,
) -> None:
    old = effect(record(), claimed_at=at(2))
    older = effect(record(tenant="other"), claimed_at=at(1))
    young = effect(record(), claimed_at=at(9))
    done = effect(record(), claimed_at=at(1))
    for row in (old, older, young, done):
        await store.effects.consume(row)

    await store.effects.finish(done.model_copy(update={"state": "failed"}))

    assert await store.effects.unfinished(claimed_before=at(5), limit=9) == (older, old)
    assert await store.effects.unfinished(claimed_before=at(5), limit=1) == (older,)
