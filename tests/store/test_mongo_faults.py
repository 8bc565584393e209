"""What the store makes of a server that fails, stands still, steps down or dies."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import anyio
import pytest

from contracts import (
    Lease,
    NodeState,
    PermanentError,
    RunRow,
    StoreUnavailable,
    new_id,
)
from contracts.definitions import Head
from store import Append, RunFilter, Store
from store.mongo import MongoStore
from tests.support.mongo import emptied, failing, raw
from tests.support.servers import MongoServer
from tests.support.stored import TENANT, append, at, ended, item, paused, record, run

BRIEF_S = 1.0
"""The deadline of a store whose server does not answer."""

MOST_TO_CLOSE_S = 4.0
"""How long an end may take whose goodbye nobody hears."""

WAYS: dict[str, dict[str, Any]] = {
    "stepped down": {"errorCode": 10107},
    "connection closed": {"closeConnection": True},
    "majority unknown": {"writeConcernError": {"code": 91, "errmsg": "shutdown"}},
    "majority late": {"writeConcernError": {"code": 64, "errmsg": "timeout"}},
    "refused": {"errorCode": 8000},
}
"""How a command fails, by what it looks like; the driver hides some of them."""


HEAD = Head(
    id="def_greet",
    tenant=TENANT,
    kind="workflow",
    name="greet",
    version=0,
    digest="sha256:1",
    created_at=at(0),
    created_by="sub_ada",
    decision_id=new_id("dec"),
    body={"name": "greet"},
)


@pytest.fixture
async def store(mongo_server: MongoServer) -> AsyncIterator[MongoStore]:
    async with emptied(mongo_server) as opened:
        yield opened


async def persist(store: Store, row: RunRow, entry: Append) -> int:
    """Append until it is said to be done; how often the store did not know."""
    for unsure in range(100):
        try:
            await store.runs.append(TENANT, row.id, entry)
        except StoreUnavailable:
            continue

        return unsure

    raise AssertionError("the store failed a hundred times")


async def seqs(store: Store, row: RunRow) -> list[int]:
    log = await store.runs.events(TENANT, row.id, limit=10_000)
    assert len({each.id for each in log}) == len(log)
    return [each.seq for each in log]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", ["insert", "update", "find"])
async def test_an_append_that_fails_once_is_stored_once(
    store: MongoStore, mongo_server: MongoServer, command: str, way: str
) -> None:
    row, _ = await store.runs.create(run())
    await store.runs.put(TENANT, row.id, item("a"))
    entry = append(row, 1, "run_started", "run_paused", state=paused(2), handled=("a",))

    async with failing(mongo_server, command, **WAYS[way]):
        await persist(store, row, entry)

    assert await seqs(store, row) == [1, 2]
    stored = await store.runs.get(TENANT, row.id)
    assert stored is not None
    assert stored.state == paused(2)
    assert await store.runs.drain(TENANT, row.id) == ()


@pytest.mark.parametrize("way", WAYS)
async def test_a_record_that_fails_once_is_one_record(
    store: MongoStore, mongo_server: MongoServer, way: str
) -> None:
    said = record()

    async with failing(mongo_server, "insert", **WAYS[way]):
        with anyio.fail_after(5):
            while True:
                try:
                    assert await store.decisions.record(said) == said
                    break
                except StoreUnavailable:
                    continue

    await store.ledger.chain(TENANT)
    assert len(await store.ledger.page(TENANT, limit=9)) == 1


async def test_an_append_stored_but_never_applied_is_repaired_by_the_next_claim(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    lease = Lease(owner="w1", until=at(15))
    row, _ = await store.runs.create(run(lease=lease))
    pause = append(row, 1, "run_paused", state=paused(1), release=True)
    async with failing(mongo_server, "update", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await store.runs.append(TENANT, row.id, pause)

    claimed = await store.runs.claim(
        TENANT, row.id, owner="w2", now=at(20), until=at(40)
    )

    assert claimed is not None
    assert claimed.state == paused(1)
    assert claimed.lease == Lease(owner="w2", until=at(40))


async def test_a_run_whose_end_was_never_applied_is_not_driven_again(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    row, _ = await store.runs.create(run(key="k"))
    end = append(row, 1, "workflow_complete", state=ended(1))
    async with failing(mongo_server, "update", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await store.runs.append(TENANT, row.id, end)

    (stale,) = await store.runs.stale(at(60), limit=9)
    assert stale.id == row.id
    claim = store.runs.claim(TENANT, row.id, owner="w2", now=at(20), until=at(40))

    assert await claim is None
    assert await store.runs.stale(at(60), limit=9) == ()
    assert (await store.runs.create(run(key="k")))[1]


async def test_the_key_of_a_run_whose_end_was_never_applied_is_free(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    row, _ = await store.runs.create(run(key="k"))
    async with failing(mongo_server, "update", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await store.runs.append(TENANT, row.id, append(row, 1, "run_canceled"))

    assert (await store.runs.create(run(key="k")))[1]


async def test_a_letter_that_rang_nobody_rings_when_it_is_laid_in_again(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    row, _ = await store.runs.create(run(state=paused(0)))
    async with failing(mongo_server, "update", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await store.runs.put(TENANT, row.id, item("a"))

    assert await store.runs.stale(at(60), limit=9) == ()
    assert not await store.runs.put(TENANT, row.id, item("a"))

    assert len(await store.runs.stale(at(60), limit=9)) == 1


async def test_an_effect_that_ended_but_settled_nothing_settles_when_asked_again(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    said = await store.decisions.record(record())
    row, _ = await store.runs.create(run(said, index="1"))
    async with failing(mongo_server, "update", errorCode=8000):
        with pytest.raises(StoreUnavailable):
            await store.runs.create(run(said))

    await store.runs.create(run(said))

    stored = await store.decisions.get(TENANT, said.id)
    assert row.index == "1"
    assert stored is not None
    assert stored.state == "done"


async def test_no_event_is_lost_while_the_primary_steps_down(
    store: MongoStore, mongo_server: MongoServer
) -> None:
    row, _ = await store.runs.create(run())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_step_down, mongo_server)
        for first in range(1, 60, 2):
            await persist(store, row, append(row, first, "node_start", "node_complete"))
            await anyio.sleep(0.02)

    assert await seqs(store, row) == list(range(1, 61))


async def _step_down(server: MongoServer) -> None:
    await anyio.sleep(0.1)
    async with raw(server) as client:
        await client.admin.command({"replSetStepDown": 2, "force": True})
        await anyio.sleep(2)
        await client.admin.command({"replSetStepUp": 1})


async def test_a_killed_server_loses_nothing_it_confirmed(
    mongo_server: MongoServer,
) -> None:
    async with emptied(mongo_server) as store:
        row, _ = await store.runs.create(run())
        await store.runs.append(TENANT, row.id, append(row, 1, "run_started"))
        await mongo_server.kill()
        await mongo_server.start()
        await persist(store, row, append(row, 2, "node_start"))

        assert await seqs(store, row) == [1, 2]
        stored = await store.runs.get(TENANT, row.id)
        assert stored is not None
        assert stored.state.status == "queued"
        assert (await store.runs.open_counts(TENANT)) == {"running": 1}


async def test_a_server_that_stands_still_is_told_of_in_time_and_holds_nobody_up(
    mongo_server: MongoServer,
) -> None:
    async with MongoStore.open(mongo_server.url("still"), deadline_s=BRIEF_S) as store:
        row, _ = await store.runs.create(run())
        os.kill(mongo_server.pid, signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:
                lags: list[float] = []
                tasks.start_soon(_watch, lags)
                entry = append(row, 1, "run_started")
                await _fails_in_time(store.runs.get(TENANT, row.id))
                await _fails_in_time(store.runs.append(TENANT, row.id, entry))
                tasks.cancel_scope.cancel()
        finally:
            os.kill(mongo_server.pid, signal.SIGCONT)

        assert max(lags) < 0.2
        await persist(store, row, entry)
        assert await seqs(store, row) == [1]


async def test_a_store_is_closed_soon_though_its_server_stands_still(
    mongo_server: MongoServer,
) -> None:
    async with MongoStore.open(mongo_server.url("still"), deadline_s=BRIEF_S) as store:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(store.ping)

        os.kill(mongo_server.pid, signal.SIGSTOP)
        try:
            await _fails_in_time(store.workers.leave("worker"))
            began = time.monotonic()
            await store.close()
        finally:
            os.kill(mongo_server.pid, signal.SIGCONT)

    assert time.monotonic() - began < MOST_TO_CLOSE_S


async def test_a_save_ends_within_the_deadline_however_often_it_is_cut_off(
    mongo_server: MongoServer,
) -> None:
    again = {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}
    async with MongoStore.open(mongo_server.url("cut"), deadline_s=BRIEF_S) as store:
        async with failing(mongo_server, "find", times=1_000_000, **again):
            await _fails_in_time(store.definitions.save(HEAD, expected_version=None))

        saved = await store.definitions.save(HEAD, expected_version=None)

    assert saved.version == 1


async def test_an_append_that_is_too_large_spoils_no_other(store: MongoStore) -> None:
    large, *others = [(await store.runs.create(run()))[0] for _ in range(4)]
    nodes = {str(n): NodeState(output="x" * 1_000_000) for n in range(17)}
    end = ended(1).model_copy(update={"steps_state": nodes})
    spoiling = append(large, 1, "workflow_complete", state=end)

    async def refused() -> None:
        with pytest.raises(PermanentError):
            await store.runs.append(TENANT, large.id, spoiling)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(refused)
        for each in others:
            entry = append(each, 1, "run_started")
            tasks.start_soon(store.runs.append, TENANT, each.id, entry)

    assert [await seqs(store, each) for each in others] == [[1]] * 3
    assert await seqs(store, large) == []


async def _fails_in_time(call: Awaitable[object]) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as failed:
        await call

    assert failed.value.code == "mongo_unavailable"
    assert time.monotonic() - began < BRIEF_S + 1


async def _watch(lags: list[float]) -> None:
    while True:
        began = time.monotonic()
        await anyio.sleep(0.01)
        lags.append(time.monotonic() - began - 0.01)


async def test_reads_that_are_cut_off_leave_the_driver_in_order(
    store: MongoStore,
) -> None:
    row, _ = await store.runs.create(run())
    dice = random.Random(3)
    errors: list[BaseException] = []

    async def read() -> None:
        with anyio.move_on_after(dice.uniform(0, 0.05)):
            try:
                await store.runs.events(TENANT, row.id, limit=5)
                await store.runs.page(TENANT, RunFilter(), limit=5)
            except Exception as error:  # noqa: BLE001  none of any kind
                errors.append(error)

    for _ in range(10):
        async with anyio.create_task_group() as reading:
            for _ in range(200):
                reading.start_soon(read)

    assert errors == []
    assert await store.runs.get(TENANT, row.id) == row
