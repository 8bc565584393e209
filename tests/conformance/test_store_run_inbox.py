"""What every store promises about a run's inbox."""

from __future__ import annotations

import anyio

from contracts import InboxItem
from store import Append, Store
from tests.support.stored import TENANT, append, ended, item, run


async def test_what_was_laid_in_is_drained_in_order_of_arrival(store: Store) -> None:
    row, _ = await store.runs.create(run())
    items = tuple(item(name, "signal", name=name) for name in "cab")
    for each in items:
        assert await store.runs.put(TENANT, row.id, each)

    assert await store.runs.drain(TENANT, row.id) == items
    assert await store.runs.drain(TENANT, row.id) == items


async def test_of_two_items_of_one_key_the_first_lies_there(store: Store) -> None:
    row, _ = await store.runs.create(run())
    first, second = item("answer:3", "resume", by="ada"), item("answer:3", "retry")

    assert await store.runs.put(TENANT, row.id, first)
    assert not await store.runs.put(TENANT, row.id, second)
    assert not await store.runs.put(TENANT, row.id, first)

    assert await store.runs.drain(TENANT, row.id) == (first,)
    assert await store.runs.item(TENANT, row.id, "answer:3") == first


async def test_of_fifty_answers_to_one_question_one_wins(store: Store) -> None:
    row, _ = await store.runs.create(run())
    won: list[InboxItem] = []

    async def answer(n: int) -> None:
        mine = item("answer:3", "resume", by=n)
        if await store.runs.put(TENANT, row.id, mine):
            won.append(mine)

    async with anyio.create_task_group() as tasks:
        for n in range(50):
            tasks.start_soon(answer, n)

    assert await store.runs.drain(TENANT, row.id) == tuple(won)
    assert len(won) == 1


async def test_a_handled_item_still_keeps_its_key(store: Store) -> None:
    row, _ = await store.runs.create(run())
    first = item("cancel", "cancel", by="ada")
    await store.runs.put(TENANT, row.id, first)
    answer = append(row, 1, "run_cancel_requested", handled=("cancel",))
    await store.runs.append(TENANT, row.id, answer)

    assert not await store.runs.put(TENANT, row.id, item("cancel", "cancel", by="eve"))
    assert await store.runs.drain(TENANT, row.id) == ()
    assert await store.runs.item(TENANT, row.id, "cancel") == first


async def test_an_item_laid_in_while_another_is_handled_is_not_lost(
    store: Store,
) -> None:
    row, _ = await store.runs.create(run())
    await store.runs.append(TENANT, row.id, append(row, 1, "run_claimed"))
    await store.runs.put(TENANT, row.id, item("a"))
    late = item("b")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.runs.put, TENANT, row.id, late)
        tasks.start_soon(
            store.runs.append, TENANT, row.id, Append((), "w1", handled=("a",))
        )

    assert await store.runs.drain(TENANT, row.id) == (late,)


async def test_inboxes_of_different_runs_and_tenants_are_apart(store: Store) -> None:
    ours, _ = await store.runs.create(run())
    theirs, _ = await store.runs.create(run())
    await store.runs.put(TENANT, ours.id, item("a"))

    assert await store.runs.drain(TENANT, theirs.id) == ()
    assert await store.runs.drain("other", ours.id) == ()
    assert await store.runs.item("other", ours.id, "a") is None
    assert await store.runs.put(TENANT, theirs.id, item("a"))


async def test_nothing_can_be_laid_in_for_a_run_that_is_not_there(
    store: Store,
) -> None:
    row, _ = await store.runs.create(run())

    assert not await store.runs.put("other", row.id, item("a"))
    assert not await store.runs.put(TENANT, run().id, item("a"))
    assert (await store.counts())["run_inbox"] == 0


async def test_a_letter_to_an_ended_run_lies_there_and_wakes_nobody(
    store: Store,
) -> None:
    row, _ = await store.runs.create(run())
    end = append(row, 1, "workflow_complete", state=ended(1))
    await store.runs.append(TENANT, row.id, end)

    assert await store.runs.put(TENANT, row.id, item("late"))
    assert await store.runs.stale("2999-01-01T00:00:00.000Z", limit=9) == ()
