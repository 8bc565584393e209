"""What every store promises about runs as rows: making, listing, owning."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from contracts import Conflict, Lease, Origin, Outcome, PermanentError, RunRow
from store import RunFilter, Store
from tests.support.stored import (
    TENANT,
    append,
    at,
    ended,
    item,
    paused,
    record,
    reservation,
    run,
    told,
)

ALL = RunFilter()


async def created(store: Store, **more: Any) -> RunRow:
    row, ours = await store.runs.create(run(**more))
    assert ours
    return row


async def finish(store: Store, row: RunRow) -> None:
    end = append(row, 1, "workflow_complete", state=ended(1))
    await store.runs.append(row.tenant, row.id, end)


async def test_a_run_is_read_back_as_it_was_made(store: Store) -> None:
    said = run(
        key="k",
        tags=("a", "b"),
        batch_id="bat_" + "0" * 26,
        carried={"greet": {"text": "hi"}},
        lease=Lease(owner="w1", until=at(15)),
        wake_at=at(3),
    )

    assert await store.runs.create(said) == (said, True)
    assert await store.runs.get(TENANT, said.id) == said


async def test_making_a_run_settles_its_decision_with_the_run_id(store: Store) -> None:
    said = await store.decisions.record(record())
    row = run(said, created_at=at(1))

    await store.runs.create(row)

    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert stored.outcome is not None
    assert (stored.state, stored.settled_at) == ("done", at(1))
    assert stored.outcome.result == {"run_id": row.id}
    assert await store.decisions.unperformed(recorded_before=at(9), limit=9) == ()


async def test_a_decision_that_ended_without_a_run_gets_none(store: Store) -> None:
    said = await store.decisions.record(record())
    expired = Outcome(decision_id=said.id, state="expired")
    await store.decisions.settle(TENANT, said.id, expired, at(1))
    set_aside = reservation("r1", 1, 1)

    for _ in range(2):
        with pytest.raises(PermanentError) as refused:
            await store.runs.create(run(said), (set_aside,))

        assert refused.value.code == "verdict_expired"

    assert (await store.runs.page(TENANT, ALL, limit=9)).items == ()
    assert await store.runs.stale(at(3_000), limit=9) == ()
    await store.budgets.reserve((reservation("r2", 1, 1),))


async def test_of_making_a_run_and_expiring_its_decision_one_happens(
    store: Store,
) -> None:
    for _ in range(20):
        said = await store.decisions.record(record())
        expired, row = Outcome(decision_id=said.id, state="expired"), run(said)
        made: list[bool] = []

        async def make(row: RunRow = row, made: list[bool] = made) -> None:
            with suppress(PermanentError):
                made.append((await store.runs.create(row))[1])

        async with anyio.create_task_group() as both:
            both.start_soon(make)
            both.start_soon(store.decisions.settle, TENANT, said.id, expired, at(1))

        stored = await store.decisions.get(TENANT, said.id)
        assert stored is not None
        is_there = await store.runs.get(TENANT, row.id) is not None
        assert (stored.state == "done") == is_there == bool(made)


async def test_a_child_run_does_not_settle_the_decision_it_belongs_to(
    store: Store,
) -> None:
    said = await store.decisions.record(record(action="batch.create"))

    await store.runs.create(run(said, index="items/0"))

    assert await store.decisions.get(TENANT, said.id) == said


async def test_a_run_made_twice_is_made_once(store: Store) -> None:
    said = await store.decisions.record(record())
    first, second = run(said), run(said, input={"name": "Eve"})

    assert await store.runs.create(first) == (first, True)
    assert await store.runs.create(second) == (first, False)
    assert (await store.counts())["runs"] == 1
    assert len(await told(store, said.id)) == 2


async def test_of_sixteen_racing_makers_of_one_run_one_makes_it(store: Store) -> None:
    said = await store.decisions.record(record())
    made: list[RunRow] = []

    async def make(n: int) -> None:
        row, ours = await store.runs.create(run(said, input={"name": str(n)}))
        if ours:
            made.append(row)

    async with anyio.create_task_group() as tasks:
        for n in range(16):
            tasks.start_soon(make, n)

    assert len(made) == 1
    assert await store.runs.get(TENANT, made[0].id) == made[0]


async def test_an_open_run_of_a_workflow_keeps_its_key_to_itself(store: Store) -> None:
    first = await created(store, key="order-1")

    with pytest.raises(Conflict) as refused:
        await store.runs.create(run(key="order-1"))

    assert refused.value.code == "run_exists"
    assert refused.value.details == {"run_id": first.id}
    await created(store, key="order-2")
    await created(store, key="order-1", workflow="other")
    await created(store, key="order-1", tenant="other")
    assert await store.runs.create(first) == (first, False)


async def test_a_key_is_free_again_when_its_run_has_ended(store: Store) -> None:
    first = await created(store, key="order-1")
    await finish(store, first)

    second = await created(store, key="order-1")

    assert second.id != first.id


async def test_a_run_over_budget_is_not_made_and_leaves_nothing(store: Store) -> None:
    said = await store.decisions.record(record())
    enough = reservation("r1", 1, 10, meter="runs")
    too_much = reservation("r2", 1, 0, meter="calls")
    before = await store.counts()

    with pytest.raises(PermanentError) as refused:
        await store.runs.create(run(said), (enough, too_much))

    assert refused.value.code == "budget_exceeded"
    assert refused.value.details["meter"] == "calls"
    assert await store.counts() == before
    assert await store.decisions.get(TENANT, said.id) == said


async def test_what_a_run_takes_of_a_budget_is_used_once_and_at_once(
    store: Store,
) -> None:
    row, budget = run(), reservation("r1", 1, 10, meter="runs")
    for _ in range(3):
        await store.runs.create(row, (budget,))

    use = await store.budgets.use(TENANT, "tenant", TENANT, "runs", "2026-11-21")

    assert use == (1, 0)


async def test_a_run_of_another_tenant_is_as_absent_as_an_unknown_one(
    store: Store,
) -> None:
    row = await created(store)

    assert await store.runs.get("other", row.id) is None
    assert (await store.runs.page("other", ALL, limit=9)).items == ()
    claim = store.runs.claim("other", row.id, owner="w", now=at(0), until=at(9))
    assert await claim is None
    assert not await store.runs.renew("other", row.id, owner="w", until=at(9))
    assert await store.runs.open_counts("other") == {}
    assert await store.runs.get(TENANT, row.id) == row


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RunFilter(workflow="pay"), {"b", "d"}),
        (RunFilter(status="completed"), {"d"}),
        (RunFilter(batch_id="bat_" + "0" * 26), {"a"}),
        (RunFilter(trigger="schedule"), {"c"}),
        (RunFilter(tag="night"), {"b", "c"}),
        (RunFilter(tag="night", workflow="pay"), {"b"}),
        (RunFilter(workflow="pay", status="queued"), {"b"}),
        (RunFilter(created_after=at(1)), {"c", "d"}),
        (RunFilter(created_before=at(1)), {"a"}),
        (RunFilter(tag="night", created_after=at(1), created_before=at(3)), {"c"}),
    ],
)
async def test_a_list_of_runs_shows_what_all_its_filters_let_pass(
    store: Store, where: RunFilter, expected: set[str]
) -> None:
    await created(store, key="a", batch_id="bat_" + "0" * 26, created_at=at(0))
    await created(
        store, key="b", workflow="pay", tags=("night", "eu"), created_at=at(1)
    )
    await created(
        store,
        key="c",
        tags=("night",),
        origin=Origin(kind="schedule"),
        created_at=at(2),
    )
    await finish(store, await created(store, key="d", workflow="pay", created_at=at(3)))

    page = await store.runs.page(TENANT, where, limit=10)

    assert {each.key for each in page.items} == expected


@pytest.mark.parametrize("where", [ALL, RunFilter(tag="t"), RunFilter(status="queued")])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_of_runs_neither_repeat_nor_skip_while_runs_come_in(
    store: Store, where: RunFilter, order: Any
) -> None:
    rows = [await created(store, tags=("t",), created_at=at(n // 3)) for n in range(9)]
    newer, seen, after = iter(range(60, 99)), list[RunRow](), None
    while True:
        page = await store.runs.page(TENANT, where, limit=2, after=after, order=order)
        seen += page.items
        after = page.next
        if after is None or len(seen) > 20:
            break

        await created(store, tags=("t",), created_at=at(next(newer)))

    ours = [row for row in seen if row in rows]
    expected = sorted(rows, key=lambda row: (row.created_at, row.id))
    assert ours == (expected if order == "asc" else expected[::-1])
    assert len({row.id for row in seen}) == len(seen)


async def test_an_unowned_run_is_claimed_by_one_of_sixteen_workers(
    store: Store,
) -> None:
    row = await created(store)
    owners: list[str] = []

    async def claim(owner: str) -> None:
        claimed = await store.runs.claim(
            TENANT, row.id, owner=owner, now=at(0), until=at(15)
        )
        if claimed is not None:
            assert claimed.lease == Lease(owner=owner, until=at(15))
            owners.append(owner)

    async with anyio.create_task_group() as tasks:
        for n in range(16):
            tasks.start_soon(claim, f"w{n}")

    assert len(owners) == 1


async def test_a_lease_is_taken_over_only_when_its_time_is_over(store: Store) -> None:
    row = await created(store, lease=Lease(owner="w1", until=at(15)))
    taken = {"owner": "w2", "until": at(30)}

    assert await store.runs.claim(TENANT, row.id, now=at(14), **taken) is None
    claimed = await store.runs.claim(TENANT, row.id, now=at(15), **taken)

    assert claimed is not None
    assert claimed.lease == Lease(owner="w2", until=at(30))
    assert not await store.runs.renew(TENANT, row.id, owner="w1", until=at(40))
    await store.runs.release(TENANT, row.id, owner="w1")
    assert await store.runs.get(TENANT, row.id) == claimed


async def test_an_own_claim_come_back_is_recognised(store: Store) -> None:
    row = await created(store)
    claim = {"owner": "w1", "now": at(0), "until": at(15)}
    first = await store.runs.claim(TENANT, row.id, **claim)

    assert await store.runs.claim(TENANT, row.id, **claim) == first
    claim["until"] = at(16)
    assert await store.runs.claim(TENANT, row.id, **claim) is None


async def test_a_renewed_lease_lasts_longer_and_a_released_one_is_free(
    store: Store,
) -> None:
    row = await created(store, lease=Lease(owner="w1", until=at(15)))

    assert await store.runs.renew(TENANT, row.id, owner="w1", until=at(30))
    taken = {"owner": "w2", "until": at(50)}
    assert await store.runs.claim(TENANT, row.id, now=at(20), **taken) is None
    await store.runs.release(TENANT, row.id, owner="w1")
    assert not await store.runs.renew(TENANT, row.id, owner="w1", until=at(30))
    assert await store.runs.claim(TENANT, row.id, now=at(20), **taken) is not None


async def test_a_run_that_has_ended_cannot_be_claimed(store: Store) -> None:
    row = await created(store)
    await finish(store, row)

    claim = store.runs.claim(TENANT, row.id, owner="w", now=at(0), until=at(9))

    assert await claim is None


async def test_stale_are_the_open_runs_that_want_a_worker_and_have_none(
    store: Store,
) -> None:
    now = at(60)
    live, over = Lease(owner="w", until=at(61)), Lease(owner="w", until=at(59))
    waits = {"state": paused(0)}
    wanted = [
        await created(store, workflow="queued"),
        await created(store, workflow="lost", lease=over, tenant="other"),
        await created(store, workflow="due", wake_at=at(60), **waits),
        await created(store, workflow="rung", **waits),
        await created(store, workflow="lost in a pause", lease=over, **waits),
    ]
    await store.runs.put(TENANT, wanted[3].id, item("cancel", "cancel"))
    held = await created(store, workflow="held", lease=live)
    await store.runs.put(TENANT, held.id, item("signal"))
    await created(store, workflow="waits", **waits)
    await created(store, workflow="not yet", wake_at=at(61), **waits)
    await finish(store, await created(store, workflow="over"))

    found = await store.runs.stale(now, limit=10)

    assert {row.workflow for row in found} == {row.workflow for row in wanted}
    assert len(await store.runs.stale(now, limit=2)) == 2


async def test_a_claimed_run_is_not_stale_and_a_handled_inbox_rings_no_more(
    store: Store,
) -> None:
    row = await created(store, state=paused(0))
    await store.runs.put(TENANT, row.id, item("signal"))
    await store.runs.claim(TENANT, row.id, owner="w", now=at(0), until=at(15))
    assert await store.runs.stale(at(10), limit=9) == ()

    answer = append(
        row, 1, "run_resumed", "run_paused", state=paused(2), handled=("signal",)
    )
    await store.runs.append(TENANT, row.id, answer._replace(release=True))

    assert await store.runs.stale(at(99), limit=9) == ()


async def test_the_runs_that_want_a_worker_longest_come_first(store: Store) -> None:
    for n in (3, 1, 2):
        await created(store, key=str(n), lease=Lease(owner="w", until=at(n)))

    found = await store.runs.stale(at(60), limit=9)

    assert [row.key for row in found] == ["1", "2", "3"]


async def test_a_resumed_run_whose_worker_died_does_not_sleep_until_its_timer(
    store: Store,
) -> None:
    row = await created(store, state=paused(0), wake_at=at(3_000))
    await store.runs.claim(TENANT, row.id, owner="w", now=at(0), until=at(15))
    await store.runs.append(TENANT, row.id, append(row, 1, "run_resumed"))

    (found,) = await store.runs.stale(at(16), limit=9)

    assert found.id == row.id


async def test_a_restart_voids_the_leases_of_an_embedded_store(store: Store) -> None:
    lease = Lease(owner="w", until=at(15))
    row = await created(store, lease=lease)
    asleep = await created(store, lease=lease, state=paused(0))
    await finish(store, await created(store, lease=lease))

    voided = await store.runs.abandoned_by_restart()

    assert voided in {0, 2}
    for each in (row, asleep):
        stored = await store.runs.get(TENANT, each.id)
        assert stored is not None
        assert stored.lease == (None if voided else lease)


async def test_open_runs_are_counted_by_status(store: Store) -> None:
    await created(store)
    await created(store)
    await created(store, state=paused(0))
    running = await created(store)
    await store.runs.append(TENANT, running.id, append(running, 1, "run_started"))
    await finish(store, await created(store))
    await created(store, tenant="other")

    counts = await store.runs.open_counts(TENANT)

    assert counts == {"queued": 2, "paused": 1, "running": 1}


async def test_a_key_that_is_taken_is_told_before_a_budget_that_is_used_up(
    store: Store,
) -> None:
    holder = await created(store, key="k")
    await store.budgets.reserve((reservation("all", 1, 1),))

    with pytest.raises(Conflict) as refused:
        await store.runs.create(run(key="k"), (reservation("r", 1, 1),))

    assert refused.value.details == {"run_id": holder.id}
