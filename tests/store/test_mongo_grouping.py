"""Writes that wait at the same time travel together, each with its own result."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from contracts import PermanentError, StoreUnavailable
from store.mongo import MongoStore, grouping
from store.mongo.grouping import Grouped
from store.mongo.words import landed, whole
from tests.support.mongo import emptied
from tests.support.servers import MongoServer


class Wire:
    """Where groups go; it answers when it may, and refuses what it is told to."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.open = anyio.Event()
        self.bad: dict[int, Exception] = {}

    async def send(self, group: list[int]) -> list[int | Exception]:
        self.sent.append(group)
        await self.open.wait()
        raised = [self.bad[each] for each in group if each in self.bad]
        if raised:
            raise raised[0]

        return [each * 10 if each >= 0 else StoreUnavailable() for each in group]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def grouped(wire: Wire) -> Grouped[int, int]:
    return Grouped("a group of tests", wire.send)


async def test_writes_of_one_tick_are_one_group_and_the_next_gathers_meanwhile(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    first = [grouped.say(n) for n in (1, 2)]
    await anyio.wait_all_tasks_blocked()
    later = [grouped.say(n) for n in (3, 4, 5)]
    await anyio.wait_all_tasks_blocked()
    assert wire.sent == [[1, 2]]

    wire.open.set()

    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40, 50]
    assert wire.sent == [[1, 2], [3, 4, 5]]


async def test_a_write_that_is_refused_spoils_no_other_of_its_group(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    wire.open.set()
    good, bad = grouped.say(1), grouped.say(-1)

    assert await good == 10
    with pytest.raises(StoreUnavailable):
        await bad


async def test_what_cannot_be_sent_is_found_by_sending_each_alone(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    wire.open.set()
    wire.bad[2] = PermanentError(code="internal")
    futures = [grouped.say(n) for n in (1, 2, 3)]

    told = await asyncio.gather(*futures, return_exceptions=True)

    assert told == [10, wire.bad[2], 30]
    assert wire.sent == [[1, 2, 3], [1], [2], [3]]


async def test_each_writer_of_a_failed_group_raises_an_error_of_his_own(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    wire.open.set()
    wire.bad[1] = StoreUnavailable(code="mongo_unavailable")
    futures = [grouped.say(n) for n in (1, 2)]

    first, second = await asyncio.gather(*futures, return_exceptions=True)

    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, StoreUnavailable)
    assert first is not second
    assert first.code == "mongo_unavailable"


async def test_a_cancelled_writer_waits_for_the_end_of_his_write(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    ended: list[str] = []

    async def write() -> None:
        try:
            await landed(grouped.say(1))
        finally:
            ended.append("write")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()

        assert ended == []
        wire.open.set()

    assert ended == ["write"]


async def test_a_queue_that_is_full_refuses_one_more(
    wire: Wire, grouped: Grouped[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MOST_WAITING", 2)
    futures = [grouped.say(n) for n in (1, 2)]

    with pytest.raises(StoreUnavailable) as refused:
        grouped.say(3)

    wire.open.set()
    assert refused.value.code == "store_busy"
    assert await asyncio.gather(*futures) == [10, 20]


async def test_finishing_waits_for_what_is_on_its_way(
    wire: Wire, grouped: Grouped[int, int]
) -> None:
    future = grouped.say(1)
    wire.open.set()

    await grouped.finish()

    assert future.done()


async def test_reads_of_one_tick_are_one_question_and_each_gets_its_own(
    mongo_server: MongoServer,
) -> None:
    async with emptied(mongo_server) as store:
        assert isinstance(store, MongoStore)
        database, asked = store.database, list[Any]()
        collection = database.collection("freeze")
        find = collection.find

        def counting(where: Any, *more: Any) -> Any:
            asked.append(where)
            return find(where, *more)

        for tenant in ("a", "b"):
            await database.insert("freeze", {"_id": f"{tenant}1", "tenant": tenant})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(collection, "find", counting)
            rows = await asyncio.gather(
                *(database.having("freeze", "tenant", t) for t in ("a", "b", "c", "a"))
            )

        ids = [[row["_id"] for row in some] for some in rows]
        assert ids == [["a1"], ["b1"], [], ["a1"]]
        assert len(asked) == 1


async def test_a_read_is_never_older_than_its_question(
    mongo_server: MongoServer,
) -> None:
    async with emptied(mongo_server) as store:
        assert isinstance(store, MongoStore)
        database = store.database
        for n in range(50):
            others = [
                asyncio.create_task(database.by_id("freeze", f"id{n}"), name="reads")
                for _ in range(8)
            ]
            await database.insert("freeze", {"_id": f"id{n}", "tenant": "a"})

            assert await database.by_id("freeze", f"id{n}") is not None
            await asyncio.gather(*others)


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_a_write_goes_to_its_end_though_whoever_asked_is_cancelled(
    by: str,
) -> None:
    began, may_end, ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def write() -> None:
        began.set()
        await may_end.wait()
        ended.set()

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            await whole(write())

    scope = anyio.CancelScope()
    asking = asyncio.create_task(ask(scope), name="asks")
    await began.wait()
    asking.cancel() if by == "task" else scope.cancel()
    await anyio.lowlevel.checkpoint()
    may_end.set()
    await asyncio.wait([asking])

    assert ended.is_set()
    assert asking.cancelled() == (by == "task")
