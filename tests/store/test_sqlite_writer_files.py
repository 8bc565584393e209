"""The files of the embedded database: modes, lock, reserve, migrations, damage."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from sqlite3 import Connection

import pytest

from contracts import ConfigurationError, PermanentError
from store.sqlite.lockfile import locked
from store.sqlite.migrations import Step, migrate, schema_version
from store.sqlite.reserve import give_up, lay_by
from store.sqlite.writer import Database

ROOT = Path(__file__).parents[2]
ONE = Step(1, "a", "CREATE TABLE a (x TEXT); -- a; comment\nCREATE TABLE b (x TEXT);")
TWO = Step(2, "c", "CREATE TABLE c (x TEXT DEFAULT 'one; two');")

HOLDER = """
import sys, time
from pathlib import Path
from store.sqlite.lockfile import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pragma(connection: Connection, name: str) -> object:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return value


def holder(store: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


async def test_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    store = tmp_path / "var" / "s.db"
    async with Database.open(store, reserve_bytes=4096, steps=[ONE]):
        assert mode(store.parent) == 0o700
        found = {path.name: mode(path) for path in store.parent.iterdir()}

    expected = ("s.db", "s.db-shm", "s.db-wal", "s.db.lock", "s.db.reserve")
    assert found == dict.fromkeys(expected, 0o600)


async def test_a_store_in_memory_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Database.open(":memory:", steps=[ONE]) as database:
        assert await database.release_reserve() == 0

    assert files_in(tmp_path) == []


async def test_the_connection_is_set_up_as_promised(tmp_path: Path) -> None:
    pragmas = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "locking_mode": "normal",
    }
    async with Database.open(tmp_path / "s.db", reserve_bytes=0) as database:
        found = await database.read(lambda c: {n: pragma(c, n) for n in pragmas})

    assert found == pragmas


async def test_normal_durability_is_a_choice(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "s.db", synchronous="NORMAL") as database:
        assert await database.read(lambda c: pragma(c, "synchronous")) == 1


async def test_rows_survive_closing_and_the_log_is_folded_in(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, steps=[ONE]) as database:
        await database.write(lambda c: c.execute("INSERT INTO a VALUES ('x')").rowcount)

    assert not (tmp_path / "s.db-wal").exists()
    async with Database.open(store, steps=[ONE]) as database:
        rows = await database.read(lambda c: c.execute("SELECT x FROM a").fetchall())

    assert rows == [("x",)]


async def test_a_second_process_is_refused_and_told_who_holds_the_file(
    tmp_path: Path,
) -> None:
    store = tmp_path / "s.db"
    process = holder(store)
    try:
        with pytest.raises(ConfigurationError) as caught:
            async with Database.open(store):
                pass
    finally:
        end(process)

    assert caught.value.code == "store_in_use"
    message = f"The store file {store} is in use by process {process.pid}."
    assert caught.value.message == message
    assert not store.exists()


async def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    end(holder(store))
    async with Database.open(store, reserve_bytes=0):
        text = (tmp_path / "s.db.lock").read_text(encoding="ascii")

    assert text == f"{os.getpid()}\n"


async def test_a_closed_store_can_be_locked_again(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, reserve_bytes=0):
        with pytest.raises(ConfigurationError), locked(store):
            pass

    with locked(store):
        pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    store.write_text("not a database" * 1_000)
    with pytest.raises(ConfigurationError) as caught:
        async with Database.open(store):
            pass

    assert caught.value.code == "store_unusable"
    assert str(store) in caught.value.message


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, steps=[ONE]) as database:
        sql = "INSERT INTO a VALUES (printf('%4000d', ?))"
        await database.write(lambda c: c.executemany(sql, zip(range(500))).rowcount)

    with store.open("r+b") as file:
        file.seek(100 * 4096)
        file.write(b"\xff" * 8 * 4096)

    with pytest.raises(ConfigurationError, match="damaged"):
        async with Database.open(store, steps=[ONE]):
            pass


async def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.db").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        async with Database.open(tmp_path / "s.db"):
            pass

    assert caught.value.code == "store_unusable"


async def test_migrations_run_once_each_and_go_on_where_they_stopped(
    tmp_path: Path,
) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, steps=[ONE]) as database:
        assert await database.read(schema_version) == 1

    async with Database.open(store, steps=[ONE, TWO]) as database:
        assert await database.read(schema_version) == 2
        assert await database.write(lambda c: migrate(c, [ONE, TWO])) == 0


async def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    broken = Step(2, "broken", "CREATE TABLE c (x TEXT); CREATE TABLE a (x TEXT);")
    with pytest.raises(PermanentError, match="went wrong"):
        async with Database.open(store, steps=[ONE, broken]):
            pass

    async with Database.open(store, steps=[ONE, TWO]) as database:
        assert await database.read(schema_version) == 2


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Database.open(store, steps=[ONE, TWO]):
        pass

    with pytest.raises(ConfigurationError) as caught:
        async with Database.open(store, steps=[ONE]):
            pass

    assert caught.value.code == "store_too_new"
    assert caught.value.details == {"found": 2, "known": 1}


async def test_steps_with_a_gap_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="without a gap"):
        async with Database.open(":memory:", steps=[TWO]):
            pass


async def test_half_a_statement_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="within a statement"):
        async with Database.open(":memory:", steps=[Step(1, "x", "SELECT 'a")]):
            pass


async def test_the_reserve_occupies_the_disk_until_it_is_released(
    tmp_path: Path,
) -> None:
    store = tmp_path / "s.db"
    reserve = tmp_path / "s.db.reserve"
    async with Database.open(store, reserve_bytes=1 << 20) as database:
        assert reserve.stat().st_blocks * 512 >= 1 << 20
        assert await database.release_reserve() == 1 << 20
        assert not reserve.exists()
        assert await database.release_reserve() == 0

    async with Database.open(store, reserve_bytes=1 << 20):
        assert reserve.exists()


def test_a_reserve_the_disk_cannot_hold_is_left_out(tmp_path: Path) -> None:
    assert not lay_by(tmp_path / "s.db", 1 << 60)
    assert files_in(tmp_path) == []
    assert give_up(tmp_path / "s.db") == 0
