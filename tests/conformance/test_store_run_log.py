"""What every store promises about a run's log; the log is the lock."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from contracts import (
    TERMINAL,
    Lease,
    NotFound,
    RunEvent,
    RunRow,
    SequenceConflict,
)
from store import Append, EventFilter, Store
from tests.support.stored import (
    TENANT,
    append,
    at,
    ended,
    event,
    item,
    paused,
    run,
)

NODES: Any = ("node_start", "node_complete")


async def started(store: Store, *types: Any, **more: Any) -> tuple[RunRow, Append]:
    row, _ = await store.runs.create(run(**more))
    first = append(row, 1, *types)
    if types:
        await store.runs.append(TENANT, row.id, first)

    return row, first


async def log(store: Store, row: RunRow) -> tuple[RunEvent, ...]:
    return await store.runs.events(TENANT, row.id, limit=10_000)


async def test_appended_events_are_read_back_in_their_order(store: Store) -> None:
    row, first = await started(store, "run_created", "run_claimed", "run_started")
    second = append(row, 4, *NODES)
    await store.runs.append(TENANT, row.id, second)

    assert await log(store, row) == first.events + second.events


async def test_a_position_taken_by_another_writer_is_a_conflict(store: Store) -> None:
    row, first = await started(store, *NODES)

    for start in (1, 2):
        with pytest.raises(SequenceConflict):
            await store.runs.append(
                TENANT, row.id, append(row, start, *NODES, writer="w2")
            )

    assert await log(store, row) == first.events


async def test_an_own_append_come_back_is_no_conflict(store: Store) -> None:
    row, first = await started(store, *NODES)
    later = append(row, 3, *NODES)
    await store.runs.append(TENANT, row.id, later)

    await store.runs.append(TENANT, row.id, first)
    await store.runs.append(TENANT, row.id, later)

    assert await log(store, row) == first.events + later.events


async def test_an_own_prefix_come_back_is_completed(store: Store) -> None:
    row, first = await started(store, *NODES)
    rest = append(row, 3, *NODES)
    both = Append(first.events + rest.events, first.writer)

    await store.runs.append(TENANT, row.id, both)

    assert await log(store, row) == both.events


async def test_other_events_at_an_own_position_are_a_conflict(store: Store) -> None:
    row, first = await started(store, *NODES)

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, append(row, 1, *NODES))

    assert await log(store, row) == first.events


@pytest.mark.parametrize("start", [2, 5])
async def test_an_append_that_would_leave_a_gap_is_a_conflict(
    store: Store, start: int
) -> None:
    row, _ = await started(store)

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, append(row, start, *NODES))

    assert await log(store, row) == ()


async def test_an_append_with_a_gap_in_itself_is_a_conflict(store: Store) -> None:
    row, _ = await started(store)
    events = (event(row, 1), event(row, 3))

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, Append(events, "w1"))

    assert await log(store, row) == ()


@pytest.mark.parametrize("end", sorted(TERMINAL))
async def test_nothing_follows_a_terminal_event(store: Store, end: Any) -> None:
    row, _ = await started(store, end)

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, append(row, 2, "node_start"))

    assert len(await log(store, row)) == 1


async def test_an_own_terminal_append_come_back_is_no_conflict(store: Store) -> None:
    row, _ = await started(store)
    end = append(row, 1, "workflow_complete", state=ended(1))
    await store.runs.append(TENANT, row.id, end)

    await store.runs.append(TENANT, row.id, end)

    assert await log(store, row) == end.events


async def test_the_end_writes_the_projection_and_clears_the_lease(
    store: Store,
) -> None:
    row, _ = await started(store, lease=Lease(owner="w1", until=at(15)), wake_at=at(9))
    end = append(row, 1, "workflow_complete", state=ended(1))

    await store.runs.append(TENANT, row.id, end)

    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert (stored.state, stored.lease, stored.wake_at) == (ended(1), None, None)
    unchanging = {"state", "lease", "wake_at"}
    assert stored.model_dump(exclude=unchanging) == row.model_dump(exclude=unchanging)


async def test_a_pause_writes_the_projection_and_when_to_wake(store: Store) -> None:
    lease = Lease(owner="w1", until=at(15))
    row, _ = await started(store, lease=lease)
    pause = append(row, 1, "run_paused", state=paused(1), wake_at=at(40))

    await store.runs.append(TENANT, row.id, pause)

    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert (stored.state, stored.lease, stored.wake_at) == (paused(1), lease, at(40))


async def test_an_append_can_give_the_lease_back(store: Store) -> None:
    row, _ = await started(store, lease=Lease(owner="w1", until=at(15)))
    pause = append(row, 1, "run_paused", state=paused(1), release=True)

    await store.runs.append(TENANT, row.id, pause)

    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert stored.lease is None


async def test_an_append_without_projection_leaves_the_stored_one(
    store: Store,
) -> None:
    row, _ = await started(store, "run_created", "run_started", "node_start")

    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert stored.state == row.state


async def test_items_are_handled_with_the_events_that_answer_them(
    store: Store,
) -> None:
    row, _ = await started(store)
    first, second = item("a"), item("b")
    for each in (first, second):
        await store.runs.put(TENANT, row.id, each)

    answer = append(row, 1, "run_resumed", handled=("a",))
    await store.runs.append(TENANT, row.id, answer)

    assert await store.runs.drain(TENANT, row.id) == (second,)


async def test_a_refused_append_handles_nothing_and_releases_nothing(
    store: Store,
) -> None:
    lease = Lease(owner="w1", until=at(15))
    row, _ = await started(store, "run_claimed", lease=lease)
    await store.runs.put(TENANT, row.id, item("a"))
    stale = append(
        row, 1, "run_claimed", writer="w0", handled=("a",), release=True, state=ended(1)
    )

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, stale)

    assert await store.runs.drain(TENANT, row.id) == (item("a"),)
    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert (stored.lease, stored.state) == (lease, row.state)


async def test_without_events_only_the_last_writer_may_append(store: Store) -> None:
    row, _ = await started(store, "run_claimed")
    await store.runs.put(TENANT, row.id, item("a"))

    with pytest.raises(SequenceConflict):
        await store.runs.append(TENANT, row.id, Append((), "w0", handled=("a",)))

    assert await store.runs.drain(TENANT, row.id) == (item("a"),)
    await store.runs.append(TENANT, row.id, Append((), "w1", handled=("a",)))
    assert await store.runs.drain(TENANT, row.id) == ()


async def test_the_log_of_another_tenant_is_as_absent_as_an_unknown_one(
    store: Store,
) -> None:
    row, first = await started(store, *NODES)

    assert await store.runs.events("other", row.id, limit=9) == ()
    assert await store.runs.event("other", row.id, first.events[0].id) is None
    for tenant, run_id in (("other", row.id), (TENANT, run().id)):
        with pytest.raises(NotFound):
            await store.runs.append(tenant, run_id, append(row, 3, *NODES))

    assert await log(store, row) == first.events


async def test_one_event_is_found_by_its_id(store: Store) -> None:
    row, first = await started(store, *NODES)
    other, _ = await started(store, *NODES)

    assert await store.runs.event(TENANT, row.id, first.events[1].id) == first.events[1]
    assert await store.runs.event(TENANT, other.id, first.events[1].id) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"limit": 2}, [1, 2]),
        ({"limit": 2, "after": 2}, [3, 4]),
        ({"limit": 2, "order": "desc"}, [6, 5]),
        ({"limit": 9, "after": 3, "order": "desc"}, [2, 1]),
        (
            {"limit": 9, "where": EventFilter(types=("node_start", "run_paused"))},
            [3, 6],
        ),
        ({"limit": 9, "where": EventFilter(channel="lifecycle")}, [1, 2, 6]),
        (
            {
                "limit": 9,
                "where": EventFilter(types=("node_start",), channel="lifecycle"),
            },
            [],
        ),
        ({"limit": 9, "where": EventFilter(node_id="greet"), "after": 3}, [5]),
        ({"limit": 1, "where": EventFilter(channel="execution"), "after": 3}, [5]),
    ],
)
async def test_a_part_of_the_log_is_shown_as_it_was_asked_for(
    store: Store, asked: dict[str, Any], expected: list[int]
) -> None:
    row, _ = await started(
        store,
        "run_created",
        "run_started",
        "node_start",
        "tool_call",
        "node_complete",
        "run_paused",
    )

    found = await store.runs.events(TENANT, row.id, **asked)

    assert [each.seq for each in found] == expected


class Writer:
    """One of many that append to a run, and remembers what it was told."""

    def __init__(self, store: Store, row: RunRow, name: str) -> None:
        self.stored: list[RunEvent] = []
        self.refused: list[RunEvent] = []
        self.unknown: list[RunEvent] = []
        self._store = store
        self._row = row
        self._name = name
        self._dice = random.Random(name)

    async def write(self, times: int) -> None:
        for _ in range(times):
            await self._try_once()

    async def _try_once(self) -> None:
        last = await self._store.runs.events(
            TENANT, self._row.id, limit=1, order="desc"
        )
        first = last[0].seq + 1 if last else 1
        end = self._dice.random() < 0.02
        types: Any = ("node_start", "workflow_complete") if end else NODES
        entry = append(self._row, first, *types, writer=self._name)
        entry = entry._replace(state=ended(first + 1) if end else None)
        told = self.unknown
        with anyio.CancelScope() as scope:
            if self._dice.random() < 0.1:
                scope.cancel()

            told = await self._append(entry)

        told += entry.events

    async def _append(self, entry: Append) -> list[RunEvent]:
        try:
            await self._store.runs.append(TENANT, self._row.id, entry)
        except SequenceConflict:
            return self.refused

        return self.stored


async def test_sixteen_racing_writers_leave_one_log_without_gaps(
    store: Store,
) -> None:
    row, _ = await started(store)
    writers = [Writer(store, row, f"w{n}") for n in range(16)]
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.write, 30)

    events = await log(store, row)

    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert [each.type in TERMINAL for each in events].count(True) <= 1
    assert all(each.type not in TERMINAL for each in events[:-1])
    ids = {each.id for each in events}
    assert len(ids) == len(events)
    assert all(each.id in ids for writer in writers for each in writer.stored)
    assert not any(each.id in ids for writer in writers for each in writer.refused)
    known = {each.id for w in writers for each in w.stored + w.unknown}
    assert ids <= known


async def test_a_zombie_cannot_write_once_another_has_claimed_in_the_log(
    store: Store,
) -> None:
    row, _ = await started(store, "run_created", "run_claimed")
    await store.runs.append(TENANT, row.id, append(row, 3, "run_claimed", writer="w2"))

    for late in (append(row, 3, "tool_call"), append(row, 3, "workflow_complete")):
        with pytest.raises(SequenceConflict):
            await store.runs.append(TENANT, row.id, late)

    assert len(await log(store, row)) == 3
