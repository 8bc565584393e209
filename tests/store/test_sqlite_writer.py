"""The embedded database: order, shared commits, isolation, deadlines, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import Connection

import anyio
import pytest

from contracts import Conflict, PermanentError, StoreUnavailable
from store.sqlite.connection import Work, run_batch
from store.sqlite.migrations import Step
from store.sqlite.writer import Database, Settings

SCHEMA = Step(1, "rows", "CREATE TABLE rows (name TEXT NOT NULL PRIMARY KEY) STRICT")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database.open(":memory:", steps=[SCHEMA]) as opened:
        yield opened


def insert(name: str) -> Callable[[Connection], str]:
    def unit(connection: Connection) -> str:
        connection.execute("INSERT INTO rows VALUES (?)", (name,))
        return name

    return unit


def insert_and_raise(name: str, error: BaseException) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        connection.execute("INSERT INTO rows VALUES (?)", (name,))
        raise error

    return unit


def names(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM rows ORDER BY 1")]


class Gate:
    """A unit that holds the thread until it is told to go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        self.open.wait(30)

    def insert(self, connection: Connection) -> None:
        insert("gate")(connection)
        self(connection)

    async def has_been_entered(self) -> None:
        await anyio.to_thread.run_sync(self.entered.wait)


async def test_a_write_returns_what_its_unit_returned(database: Database) -> None:
    assert await database.write(insert("a")) == "a"


async def test_a_read_sees_a_write_that_returned(database: Database) -> None:
    await database.write(insert("a"))
    assert await database.read(names) == ["a"]


async def test_units_run_in_the_order_of_the_calls(database: Database) -> None:
    ran: list[int] = []

    def note(number: int) -> Callable[[Connection], None]:
        return lambda _: ran.append(number)

    kinds = (database.write, database.read, database.write)
    await asyncio.gather(*(kinds[n % 3](note(n)) for n in range(1_500)))
    assert ran == list(range(1_500))


async def test_a_read_sees_the_writes_before_it_and_none_after(
    database: Database,
) -> None:
    futures = []
    for number in range(50):
        futures.append(database.read(names))
        database.write(insert(f"{number:02}"))

    seen = await asyncio.gather(*futures)
    assert [len(rows) for rows in seen] == list(range(50))


async def test_units_that_wait_together_share_one_commit(database: Database) -> None:
    gate, statements = Gate(), list[str]()
    held = database.read(gate)
    await gate.has_been_entered()
    traced = database.read(lambda c: c.set_trace_callback(statements.append))
    writes = [database.write(insert(str(number))) for number in range(64)]
    gate.open.set()
    await asyncio.gather(held, traced, *writes)

    assert statements.count("COMMIT") == 1
    assert sum(text.startswith("INSERT") for text in statements) == 64


async def test_a_unit_that_raises_spoils_no_other(database: Database) -> None:
    error = Conflict("taken")
    results = await asyncio.gather(
        database.write(insert("a")),
        database.write(insert_and_raise("b", error)),
        database.read(names),
        database.write(insert("c")),
        return_exceptions=True,
    )
    assert list(results) == ["a", error, ["a"], "c"]
    assert await database.read(names) == ["a", "c"]


async def test_a_read_that_raises_spoils_no_write(database: Database) -> None:
    write = database.write(insert("a"))
    with pytest.raises(ZeroDivisionError):
        await database.read(lambda _: 1 // 0)

    assert await write == "a"


async def test_a_batch_runs_again_when_one_of_its_units_raised() -> None:
    runs = dict.fromkeys("abc", 0)

    def counting(name: str) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            runs[name] += 1
            insert(name)(connection)

        return unit

    batch = [
        Work(counting("a"), writes=True),
        Work(insert_and_raise("x", Conflict()), writes=True),
        Work(counting("b"), writes=True),
    ]
    connection = memory()
    run_batch(connection, batch)
    assert names(connection) == ["a", "b"]
    assert runs == {"a": 2, "b": 1, "c": 0}
    assert not connection.in_transaction


def memory() -> Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(SCHEMA.script)
    return connection


async def test_a_failed_commit_refuses_every_write_and_no_read() -> None:
    def failing(_: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    write, read = Work(insert("a"), writes=True), Work(names, writes=False)
    connection = memory()
    run_batch(connection, [write, read], failing)
    assert isinstance(write.error, sqlite3.OperationalError)
    assert (read.result, read.error) == ([], None)
    assert not connection.in_transaction


async def test_a_driver_error_never_leaves_the_store(database: Database) -> None:
    await database.write(insert("a"))
    with pytest.raises(PermanentError) as caught:
        await database.write(insert("a"))

    assert caught.value.code == "internal"
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)


async def test_a_unit_may_translate_a_taken_key(database: Database) -> None:
    def unit(connection: Connection) -> bool:
        try:
            insert("a")(connection)
        except sqlite3.IntegrityError:
            return False

        return True

    first, second, third = await asyncio.gather(
        database.write(unit), database.write(unit), database.write(insert("b"))
    )
    assert (first, second, third) == (True, False, "b")


async def test_a_unit_that_raises_stop_iteration_is_told_so(
    database: Database,
) -> None:
    with pytest.raises(PermanentError, match="StopIteration"):
        await database.read(lambda _: next(iter([])))


async def test_too_slow_is_store_unavailable_and_the_begun_unit_ends() -> None:
    gate = Gate()
    async with Database.open(":memory:", steps=[SCHEMA], timeout_s=0.05) as database:
        begun = database.write(gate.insert)
        await gate.has_been_entered()
        behind = database.write(insert("behind"))
        for future in (begun, behind):
            with pytest.raises(StoreUnavailable):
                await future

        gate.open.set()
        assert await database.read(names) == ["gate"]


async def test_a_cancelled_unit_ends_if_begun_and_is_dropped_if_not(
    database: Database,
) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(awaiting, database, gate.insert)
        await gate.has_been_entered()
        tasks.start_soon(awaiting, database, insert("behind"))
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    gate.open.set()
    assert await database.read(names) == ["gate"]


async def awaiting(database: Database, unit: Callable[[Connection], object]) -> None:
    await database.write(unit)


async def test_more_units_than_may_wait_are_refused_as_busy(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.sqlite.writer.MOST_WAITING", 2)
    gate = Gate()
    held, behind = database.read(gate), database.read(names)
    with pytest.raises(StoreUnavailable) as caught:
        database.read(names)

    assert caught.value.code == "store_busy"
    gate.open.set()
    await asyncio.gather(held, behind)
    assert await database.read(names) == []


async def test_a_loop_that_is_never_idle_does_not_starve_the_store(
    database: Database,
) -> None:
    done = asyncio.Event()

    async def write() -> None:
        for number in range(50):
            await database.write(insert(str(number)))

        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        while not done.is_set():
            sum(range(10_000))
            await anyio.lowlevel.checkpoint()

    assert len(await database.read(names)) == 50


async def test_closing_finishes_what_waits() -> None:
    async with Database.open(":memory:", steps=[SCHEMA]) as database:
        writes = [database.write(insert(str(number))) for number in range(1_000)]
        await database.close()
        assert all(future.done() for future in writes)
        assert [future.result() for future in writes] == [str(n) for n in range(1_000)]


async def test_closing_twice_is_harmless() -> None:
    async with Database.open(":memory:") as database:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.close)
            tasks.start_soon(database.close)

        await database.close()


async def test_a_closed_store_is_unavailable() -> None:
    async with Database.open(":memory:") as database:
        await database.close()
        with pytest.raises(StoreUnavailable):
            await database.read(names)

        with pytest.raises(StoreUnavailable):
            await database.write(insert("a"))


async def test_a_thread_that_breaks_refuses_whoever_waits_and_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    async with Database.open(":memory:", steps=[SCHEMA]) as database:
        monkeypatch.setattr("store.sqlite.writer.run_batch", broken)
        with pytest.raises(StoreUnavailable) as caught:
            await database.read(names)

        assert isinstance(caught.value.__cause__, RuntimeError)
        with pytest.raises(StoreUnavailable):
            await database.read(names)


async def test_a_cancelled_start_leaves_no_lock(tmp_path: Path) -> None:
    database = Database(Settings(str(tmp_path / "s.db"), reserve_bytes=0))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await database.start()

    await database.close()
    async with Database.open(tmp_path / "s.db", reserve_bytes=0):
        pass


async def test_a_store_that_was_never_started_closes() -> None:
    await Database(Settings(":memory:")).close()


async def test_no_thread_is_left_after_closing() -> None:
    async with Database.open(":memory:"):
        assert "store-sqlite" in {thread.name for thread in threading.enumerate()}

    for thread in threading.enumerate():
        if thread.name == "store-sqlite":
            thread.join(5)
            assert not thread.is_alive()
