"""Single inserts per second of the embedded database, also beside a busy loop."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from sqlite3 import Connection

from bench.report import report
from store.sqlite.connection import Synchronous
from store.sqlite.migrations import Step
from store.sqlite.writer import Database

_EVENTS = Step(
    1,
    "events",
    "CREATE TABLE events (stream INTEGER NOT NULL, seq INTEGER NOT NULL, "
    "body TEXT NOT NULL, PRIMARY KEY (stream, seq)) STRICT",
)
_INSERT = "INSERT INTO events VALUES (?, ?, ?)"
_BODY = "x" * 500

Client = Callable[[Database, int, float, list[float]], Awaitable[None]]


async def measure(seconds: float = 1.0) -> None:
    """Print the rates and latencies of each case."""
    for synchronous in ("FULL", "NORMAL"):
        await _measure(synchronous, seconds)


async def _measure(synchronous: Synchronous, seconds: float) -> None:
    await _case("one at a time", synchronous, _insert, 1, seconds)
    await _case("64 at once", synchronous, _insert, 64, seconds)
    await _case("64 at once, 100 us of work each", synchronous, _toil, 64, seconds)

    busy = asyncio.create_task(_be_busy(), name="busy")
    await _case("one at a time, loop never idle", synchronous, _insert, 1, seconds)
    await _case("64 at once, loop never idle", synchronous, _insert, 64, seconds)
    busy.cancel()


async def _case(
    name: str, synchronous: Synchronous, client: Client, at_once: int, seconds: float
) -> None:
    # Not where temporary files usually are: that may be memory.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "bench.db")
        async with Database.open(
            path, synchronous=synchronous, reserve_bytes=0, steps=[_EVENTS]
        ) as database:
            took: list[float] = []
            end = time.perf_counter() + seconds
            clients = (client(database, n, end, took) for n in range(at_once))
            await asyncio.gather(*clients)

    _report(f"{synchronous}, {name}", sorted(took), seconds)


async def _insert(
    database: Database, stream: int, end: float, took: list[float]
) -> None:
    seq = 0
    while (began := time.perf_counter()) < end:
        seq += 1
        row = (stream, seq, _BODY)
        await database.write(_inserting(row))
        took.append(time.perf_counter() - began)


async def _toil(database: Database, stream: int, end: float, took: list[float]) -> None:
    seq = 0
    while time.perf_counter() < end:
        _work(100)
        seq += 1
        began = time.perf_counter()
        await database.write(_inserting((stream, seq, _BODY)))
        took.append(time.perf_counter() - began)


def _inserting(row: tuple[int, int, str]) -> Callable[[Connection], int]:
    return lambda connection: connection.execute(_INSERT, row).rowcount


async def _be_busy() -> None:
    while True:
        _work(200)
        await asyncio.sleep(0)


def _spin(times: int) -> None:
    for _ in range(times):
        pass


def _spins_per_us() -> float:
    began = time.perf_counter()
    _spin(1_000_000)
    return 1 / (time.perf_counter() - began)


_SPINS_PER_US = max(_spins_per_us() for _ in range(5))


def _work(microseconds: int) -> None:
    """Burn so much of the processor, however long that takes."""
    _spin(int(microseconds * _SPINS_PER_US))


def _report(case: str, took: list[float], seconds: float) -> None:
    report(
        "embedded database, single inserts",
        case,
        len(took) / seconds,
        "per second",
        p50_ms=took[len(took) // 2] * 1e3,
        p99_ms=took[int(len(took) * 0.99)] * 1e3,
        max_ms=took[-1] * 1e3,
    )


if __name__ == "__main__":
    asyncio.run(measure())
