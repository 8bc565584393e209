"""What the embedded store keeps in memory is read without a hop, and never stale."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

import anyio
import pytest

from contracts import Conflict, FreezeRow, KeyRow, StoreUnavailable, digest, new_id
from contracts.definitions import Head
from store.caches import Recent
from store.sqlite import MEMORY, SqliteStore
from store.sqlite.caches import Coherent
from tests.support.stored import AT, TENANT, at, outcome, record, run


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(MEMORY) as opened:
        yield opened


def at_once(read: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        read.send(None)
    except StopIteration as returned:
        return returned.value

    read.close()
    raise AssertionError("it waited")


def head() -> Head:
    return Head(
        id="def_1",
        tenant=TENANT,
        kind="workflow",
        name="greet",
        version=0,
        digest=digest({}),
        created_at=AT,
        created_by="ada",
        decision_id=new_id("dec"),
        body={},
    )


def key() -> KeyRow:
    return KeyRow(
        id=new_id("key"),
        tenant=TENANT,
        subject="sub_1",
        subject_name="ada",
        roles=("operator",),
        secret_digest="sha256:0",
        created_at=AT,
    )


def freeze(name: str = "mail") -> FreezeRow:
    return FreezeRow(tenant=TENANT, scope="tool", name=name, reason="", by="ada", at=AT)


async def test_a_decision_just_recorded_is_read_at_once(store: SqliteStore) -> None:
    said = await store.decisions.record(record())

    assert at_once(store.decisions.get(TENANT, said.id)) is said


async def test_a_decision_is_forgotten_by_whatever_settles_it(
    store: SqliteStore,
) -> None:
    settled, started = record(), record()
    for said in (settled, started):
        await store.decisions.record(said)

    await store.decisions.settle(TENANT, settled.id, outcome(settled), at(1))
    await store.runs.create(run(started))

    for said in (settled, started):
        stored = await store.decisions.get(TENANT, said.id)
        assert stored is not None
        assert stored.state == "done"


async def test_keys_heads_bodies_and_freezes_are_read_at_once_the_second_time(
    store: SqliteStore,
) -> None:
    ours, saved = key(), head()
    await store.keys.create(ours)
    saved = await store.definitions.save(saved, expected_version=None)
    reads: list[Any] = [
        (lambda: store.keys.get(ours.id), ours),
        (lambda: store.definitions.head(TENANT, "workflow", "greet"), saved),
        (lambda: store.definitions.archived(TENANT, saved.digest), {}),
        (lambda: store.freezes.of(TENANT), ()),
    ]
    for read, expected in reads:
        assert await read() == expected
        assert at_once(read()) == expected


async def test_a_value_read_while_a_write_is_under_way_is_not_kept(
    store: SqliteStore,
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.freezes.of, TENANT)
        tasks.start_soon(store.freezes.set, freeze())

    assert await store.freezes.of(TENANT) == (freeze(),)


async def test_a_write_nobody_awaited_leaves_nothing_stale_behind(
    store: SqliteStore,
) -> None:
    assert await store.freezes.of(TENANT) == ()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.freezes.set(freeze())

    told = await store.freezes.of(TENANT)
    row = "SELECT count(*) FROM freeze"
    count = await store.database.read(lambda c: c.execute(row).fetchone()[0])

    assert len(told) == count


def test_the_value_unused_for_longest_makes_room() -> None:
    recent: Recent[str, int] = Recent(2)
    for name, value in (("a", 1), ("b", 2)):
        recent.put(name, value)

    assert recent.get("a") == 1
    recent.put("c", 3)

    assert [recent.get(name) for name in "abc"] == [1, None, 3]


def test_a_read_that_began_before_a_write_is_not_kept_after_it() -> None:
    rows: Coherent[str, int] = Coherent(9)
    since = rows.reading()
    with rows.writing("a"):
        pass

    rows.keep("a", 1, since)

    assert rows.get("a") is None


def test_a_write_of_unknown_end_keeps_nothing_until_a_later_one_lands() -> None:
    rows: Coherent[str, int] = Coherent(9)
    with pytest.raises(StoreUnavailable), rows.writing("a"):
        raise StoreUnavailable

    rows.keep("a", 1, rows.reading())
    assert rows.get("a") is None
    with rows.writing("b"):
        pass

    rows.keep("a", 2, rows.reading())
    assert rows.get("a") == 2


def test_a_refused_write_has_a_known_end() -> None:
    rows: Coherent[str, int] = Coherent(9)
    rows.keep("a", 1, rows.reading())
    with pytest.raises(Conflict), rows.writing("a"):
        raise Conflict

    assert rows.get("a") is None
    rows.keep("a", 1, rows.reading())
    assert rows.get("a") == 1


async def test_what_is_large_is_not_kept_in_memory(store: SqliteStore) -> None:
    large = {"text": "x" * 20_000}
    said = await store.decisions.record(record(args=large))
    await store.definitions.keep(TENANT, "sha256:7", large)
    assert await store.definitions.archived(TENANT, "sha256:7") == large

    with pytest.raises(AssertionError, match="it waited"):
        at_once(store.decisions.get(TENANT, said.id))

    with pytest.raises(AssertionError, match="it waited"):
        at_once(store.definitions.archived(TENANT, "sha256:7"))
