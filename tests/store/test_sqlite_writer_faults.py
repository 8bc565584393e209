"""The embedded database under faults: kill -9, a full disk, a foreign lock."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from contracts import StoreUnavailable
from store.sqlite.migrations import Step
from store.sqlite.writer import Database

ROOT = Path(__file__).parents[2]
SCHEMA = Step(
    1,
    "halves",
    "CREATE TABLE halves (client INTEGER, n INTEGER, half INTEGER, body TEXT, "
    "PRIMARY KEY (client, n, half)) STRICT",
)

WRITING_UNTIL_KILLED = """
import asyncio, os, sys
from tests.store.test_sqlite_writer_faults import SCHEMA, pair
from store.sqlite.writer import Database

async def client(database, number, first):
    n = first
    while True:
        n += 1
        await database.write(pair(number, n))
        os.write(1, f"{number} {n}\\n".encode())

async def main():
    async with Database.open(sys.argv[1], steps=[SCHEMA], reserve_bytes=0) as database:
        first = int(sys.argv[2])
        await asyncio.gather(*(client(database, n, first) for n in range(16)))

asyncio.run(main())
"""

WRITING_UNTIL_FULL = """
import asyncio, resource, sys
from contracts import StoreUnavailable
from tests.store.test_sqlite_writer_faults import SCHEMA, count, pair
from store.sqlite.writer import Database

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    async with Database.open(sys.argv[1], steps=[SCHEMA], reserve_bytes=4096) as store:
        acked = 0
        try:
            while True:
                await store.write(pair(0, acked, "x" * 2000))
                acked += 1
        except StoreUnavailable as error:
            print(error.code, acked, await store.read(count), flush=True)

asyncio.run(main())
"""


def pair(client: int, n: int, body: str = "") -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        for half in (1, 2):
            row = (client, n, half, body)
            connection.execute("INSERT INTO halves VALUES (?, ?, ?, ?)", row)

    return unit


def count(connection: Connection) -> int:
    (rows,) = connection.execute("SELECT count(*) FROM halves").fetchone()
    return int(rows)


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def acked_before_kill(store: Path, kill: int) -> set[tuple[int, int]]:
    process = child(WRITING_UNTIL_KILLED, store, kill * 1_000_000)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(50 + 173 * kill)]
    process.send_signal(signal.SIGKILL)
    lines += process.communicate()[0].splitlines(keepends=True)
    whole = (line.split() for line in lines if line.endswith("\n"))
    return {(int(client), int(n)) for client, n in whole}


@pytest.mark.timeout(120)
def test_kill_9_loses_nothing_acked_and_halves_no_unit(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    acked: set[tuple[int, int]] = set()
    for kill in range(10):
        acked |= acked_before_kill(store, kill)

    connection = sqlite3.connect(store)
    rows = connection.execute("SELECT client, n, count(*) FROM halves GROUP BY 1, 2")
    found = {(client, n): halves for client, n, halves in rows}
    assert set(found.values()) == {2}
    assert acked <= set(found)
    assert len(found) - len(acked) <= 10 * 16
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_full_disk_is_unavailable_and_what_was_acked_stays_readable(
    tmp_path: Path,
) -> None:
    process = child(WRITING_UNTIL_FULL, tmp_path / "s.db")
    code, acked, rows = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert code == "store_unavailable"
    assert int(acked) > 50
    assert int(rows) == 2 * int(acked)


async def test_a_full_database_refuses_writes_serves_reads_and_recovers(
    tmp_path: Path,
) -> None:
    async with Database.open(tmp_path / "s.db", steps=[SCHEMA]) as database:
        await database.read(
            lambda c: c.execute("PRAGMA max_page_count = 20").fetchall()
        )
        acked = 0
        error = None
        while error is None:
            try:
                await database.write(pair(0, acked, "x" * 2000))
                acked += 1
            except StoreUnavailable as full:
                error = full

        assert error.code == "store_unavailable"
        assert await database.read(count) == 2 * acked

        await database.read(
            lambda c: c.execute("PRAGMA max_page_count = 99").fetchall()
        )
        await database.write(pair(0, acked))
        assert await database.read(count) == 2 * acked + 2


async def test_a_unit_too_large_for_the_disk_spoils_no_small_one(
    tmp_path: Path,
) -> None:
    async with Database.open(tmp_path / "s.db", steps=[SCHEMA]) as database:
        await database.read(
            lambda c: c.execute("PRAGMA max_page_count = 20").fetchall()
        )
        small, large, also_small = (
            database.write(pair(0, 1)),
            database.write(pair(0, 2, "x" * 500_000)),
            database.write(pair(0, 3)),
        )
        await small
        with pytest.raises(StoreUnavailable):
            await large

        await also_small
        assert await database.read(count) == 4


async def test_a_foreign_lock_is_store_busy_and_never_half_a_unit(
    tmp_path: Path,
) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, steps=[SCHEMA]) as database:
        await database.read(lambda c: c.execute("PRAGMA busy_timeout = 20").fetchall())
        foreign = sqlite3.connect(store, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        write, read = database.write(pair(0, 1)), database.read(count)
        with pytest.raises(StoreUnavailable) as caught:
            await write

        assert caught.value.code == "store_busy"
        assert await read == 0
        foreign.execute("ROLLBACK")
        foreign.close()

        await database.write(pair(0, 1))
        assert await database.read(count) == 2
