"""Logs, inboxes and ledgers when several processes write them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from contracts import (
    Conflict,
    Outcome,
    PermanentError,
    SequenceConflict,
    StoreUnavailable,
)
from contracts.chains import verify
from store import Append
from store.mongo import MongoStore, run_log
from store.mongo.inbox import Inbox
from store.mongo.run_rows import changing
from tests.support.mongo import emptied, failing
from tests.support.servers import MongoServer
from tests.support.stored import (
    TENANT,
    append,
    at,
    event,
    item,
    outcome,
    paused,
    record,
    reservation,
    run,
)


@pytest.fixture
async def stores(mongo_server: MongoServer) -> AsyncIterator[list[MongoStore]]:
    """Four stores of one database, as four processes have them."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(emptied(mongo_server))
        url = mongo_server.url(first.database.mongo.name)
        more = [await stack.enter_async_context(MongoStore.open(url)) for _ in range(3)]
        yield [first, *more]


async def test_of_sixteen_writers_in_four_processes_one_has_each_position(
    stores: list[MongoStore],
) -> None:
    row, _ = await stores[0].runs.create(run())
    stored: list[str] = []

    async def write(store: MongoStore, name: str) -> None:
        for _ in range(10):
            last = await store.runs.events(TENANT, row.id, limit=1, order="desc")
            first = last[0].seq + 1 if last else 1
            entry = append(row, first, "node_start", "node_complete", writer=name)
            try:
                await store.runs.append(TENANT, row.id, entry)
            except SequenceConflict:
                continue

            stored.extend(each.id for each in entry.events)

    async with anyio.create_task_group() as tasks:
        for n in range(16):
            tasks.start_soon(write, stores[n % 4], f"w{n}")

    log = await stores[0].runs.events(TENANT, row.id, limit=1_000)
    assert [each.seq for each in log] == list(range(1, len(log) + 1))
    assert sorted(each.id for each in log) == sorted(stored)


async def test_what_a_process_remembers_of_a_log_never_hides_another_writer(
    stores: list[MongoStore],
) -> None:
    ours, theirs, *_ = stores
    row, _ = await ours.runs.create(run())
    await ours.runs.append(TENANT, row.id, append(row, 1, "run_claimed"))
    other = append(row, 2, "run_claimed", "run_started", writer="w2")
    await theirs.runs.append(TENANT, row.id, other)

    for late in (append(row, 2, "tool_call"), append(row, 3, "tool_call")):
        with pytest.raises(SequenceConflict):
            await ours.runs.append(TENANT, row.id, late)

    with pytest.raises(SequenceConflict):
        await ours.runs.append(TENANT, row.id, Append((), "w1", release=True))


async def test_two_that_chain_at_once_link_everything_once_and_in_order(
    stores: list[MongoStore],
) -> None:
    async def tell(store: MongoStore, n: int) -> None:
        said = await store.decisions.record(record(recorded_at=at(n)))
        await store.decisions.settle(TENANT, said.id, outcome(said), at(n + 1))
        await store.ledger.add(TENANT, "key", f"key {n}", {"n": n}, at(n))

    linked: list[int] = []

    async def chain(store: MongoStore) -> None:
        linked.extend([await store.ledger.chain(TENANT, limit=7) for _ in range(20)])

    async with anyio.create_task_group() as tasks:
        for n in range(40):
            tasks.start_soon(tell, stores[n % 4], n)

        for store in stores:
            tasks.start_soon(chain, store)

    while await stores[0].ledger.unchained(TENANT):
        linked.append(await stores[0].ledger.chain(TENANT))

    entries = await stores[1].ledger.page(TENANT, limit=1_000)
    assert [each.n for each in entries] == list(range(1, 121))
    assert sum(linked) == 120
    assert verify(entries) == []
    kinds: dict[str, list[str]] = {}
    for each in entries:
        kinds.setdefault(each.ref, []).append(each.kind)

    assert set(map(tuple, kinds.values())) == {("decision", "outcome"), ("key",)}


async def test_an_entry_linked_but_not_yet_forgotten_is_not_linked_again(
    stores: list[MongoStore],
) -> None:
    said = await stores[0].decisions.record(record())
    which = {"id": said.id}
    waiting = await stores[0].database.one("decisions", which)
    await stores[0].ledger.chain(TENANT)
    assert waiting is not None
    await stores[0].database.changed("decisions", which, {"$set": waiting})
    assert await stores[0].ledger.unchained(TENANT) == 1

    assert await stores[1].ledger.chain(TENANT) == 0

    assert await stores[0].ledger.unchained(TENANT) == 0
    assert len(await stores[0].ledger.page(TENANT, limit=9)) == 1


async def test_items_laid_in_beside_their_handling_are_never_forgotten(
    stores: list[MongoStore],
) -> None:
    ours, theirs, *_ = stores
    row, _ = await ours.runs.create(run(state=paused(0)))
    await ours.runs.append(TENANT, row.id, append(row, 1, "run_claimed"))

    for n in range(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(theirs.runs.put, TENANT, row.id, item(str(n)))
            handled = Append((), "w1", handled=(str(n - 1),))
            tasks.start_soon(ours.runs.append, TENANT, row.id, handled)

        assert [each.id for each in await ours.runs.drain(TENANT, row.id)] == [str(n)]
        assert len(await ours.runs.stale(at(60), limit=9)) == 1


async def test_a_letter_that_lands_after_the_handler_looked_still_rings(
    stores: list[MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs, *_ = stores
    row, _ = await ours.runs.create(run(state=paused(0)))
    await ours.runs.put(TENANT, row.id, item("a"))
    counted, may_land = anyio.Event(), anyio.Event()
    insert = theirs.database.insert

    async def late(name: str, document: dict[str, Any]) -> bool:
        counted.set()
        await may_land.wait()
        return await insert(name, document)

    monkeypatch.setattr(theirs.database, "insert", late)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(theirs.runs.put, TENANT, row.id, item("b"))
        await counted.wait()
        changes = await Inbox(
            ours.database, "runs", "run_inbox", "run_id", changing
        ).handle((TENANT, row.id), ("a",))
        may_land.set()

    assert changes != {}
    await ours.database.update("runs", {"id": row.id}, changing(changes))

    assert len(await ours.runs.stale(at(60), limit=9)) == 1


async def test_an_append_too_long_for_a_document_is_stored_in_parts(
    stores: list[MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "LARGEST_CHARS", 1_000)
    row, _ = await stores[0].runs.create(run())
    types: Any = (*["node_start"] * 30, "run_paused")
    entry = append(row, 1, *types, state=paused(31), release=True)

    for store in stores[:2]:
        await store.runs.append(TENANT, row.id, entry)

    assert await stores[1].runs.events(TENANT, row.id, limit=99) == entry.events
    stored = await stores[1].runs.get(TENANT, row.id)
    assert stored is not None
    assert stored.state == paused(31)
    assert await stores[0].database.summed("run_events", {}, 1) != {None: 1}


async def test_ten_thousand_events_make_the_next_append_no_slower(
    stores: list[MongoStore],
) -> None:
    store = stores[0]
    row, _ = await store.runs.create(run())
    early = await _appending(store, row, range(1, 200, 2))
    bulk: Any = Append(tuple(event(row, seq) for seq in range(201, 10_001)), "w1")
    await store.runs.append(TENANT, row.id, bulk)
    late = await _appending(store, row, range(10_001, 10_200, 2))

    assert late < early * 3


async def _appending(store: MongoStore, row: Any, firsts: range) -> float:
    """The median time of such appends, in seconds."""
    took = []
    for first in firsts:
        entry = append(row, first, "node_start", "node_complete")
        began = time.perf_counter()
        await store.runs.append(TENANT, row.id, entry)
        took.append(time.perf_counter() - began)

    return sorted(took)[len(took) // 2]


async def test_a_run_whose_decision_ended_before_is_claimed_by_nobody(
    stores: list[MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs, *_ = stores
    said = await ours.decisions.record(record())
    expired = Outcome(decision_id=said.id, state="expired")
    await ours.decisions.settle(TENANT, said.id, expired, at(1))
    row, insert, claims = run(said), ours.database.insert, list[Any]()

    async def seen_at_once(name: str, document: dict[str, Any]) -> bool:
        inserted = await insert(name, document)
        if name == "runs":
            claims.append(
                await theirs.runs.claim(
                    TENANT, row.id, owner="w2", now=at(2), until=at(20)
                )
            )

        return inserted

    monkeypatch.setattr(ours.database, "insert", seen_at_once)
    with pytest.raises(PermanentError):
        await ours.runs.create(row, (reservation("r", 1, 1),))

    assert claims == [None]
    assert await theirs.runs.get(TENANT, row.id) is None
    await theirs.budgets.reserve((reservation("other", 1, 1),))


async def test_a_claim_ends_the_decision_of_a_run_whose_maker_died(
    stores: list[MongoStore], mongo_server: MongoServer
) -> None:
    ours, theirs, *_ = stores
    said = await ours.decisions.record(record())
    row = run(said)
    async with failing(mongo_server, "update", "findAndModify", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await ours.runs.create(row)

    claimed = await theirs.runs.claim(
        TENANT, row.id, owner="w2", now=at(2), until=at(20)
    )

    expired = Outcome(decision_id=said.id, state="expired")
    stays = await ours.decisions.settle(TENANT, said.id, expired, at(3))
    assert claimed is not None
    assert stays.result == {"run_id": row.id}


async def test_what_an_earlier_try_reserved_is_given_back_at_a_conflict(
    stores: list[MongoStore],
) -> None:
    store, reserved = stores[0], reservation("r", 1, 1)
    await store.runs.create(run(key="k"))
    await store.budgets.reserve((reserved,))

    with pytest.raises(Conflict):
        await store.runs.create(run(key="k"), (reserved,))

    await store.budgets.reserve((reservation("other", 1, 1),))
