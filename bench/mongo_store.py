"""What MongoDB does for a gated run, beside hand-written inserts of the same server."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection

from bench.report import report
from bench.store import rate
from store import open_store
from tests.support.servers import MongoServer, running

SECONDS = 3.0
WRITES = 4
"""Inserts of a hand-written pure run: decision, run, log, end."""

_BODY = "x" * 2_000
_MAJORITY = WriteConcern("majority", j=True)

Collection = AsyncCollection[dict[str, Any]]
Insert = Callable[[dict[str, Any]], Awaitable[object]]


async def measure(runs: int = 3_000) -> None:
    """Print runs per second of the store, and what share of the limit they are."""
    # Not where temporary files usually are: that may be memory.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        server = MongoServer(Path(Path.cwd(), folder))
        async with running(server), open_store(server.url("bench")) as store:
            await rate(store, runs // 10, 64)
            for at_once in (1, 64):
                limit = await _limit(server, at_once)
                few = runs // 10 if at_once == 1 else runs
                per_second, took = await rate(store, few, at_once)
                p99 = sorted(took)[int(len(took) * 0.99)] * 1_000
                report(
                    "MongoDB store",
                    f"{at_once} at once",
                    per_second,
                    "runs/s",
                    p99_ms=p99,
                    of_grouped_inserts=per_second / limit,
                )


async def _limit(server: MongoServer, at_once: int) -> float:
    """Hand-written runs per second: so many inserts each, grouped by tick."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(server.url("limit"))
    async with client:
        events = client["limit"].get_collection("events", write_concern=_MAJORITY)
        await events.insert_one({"body": _BODY})
        alone = await _runs(events.insert_one, at_once)
        grouped = await _runs(_Ticks(events).insert, at_once)

    report("MongoDB inserts", f"{at_once} at once, each alone", alone, "runs/s")
    report("MongoDB inserts", f"{at_once} at once, grouped", grouped, "runs/s")
    return grouped


async def _runs(insert: Insert, at_once: int) -> float:
    end = time.perf_counter() + SECONDS
    done = await asyncio.gather(*(_live(insert, end) for _ in range(at_once)))
    return sum(done) / SECONDS


async def _live(insert: Insert, end: float) -> int:
    runs = 0
    while time.perf_counter() < end:
        for _ in range(WRITES):
            await insert({"body": _BODY})

        runs += 1

    return runs


class _Ticks:
    """Inserts that wait for the same tick, in one ``insert_many``."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._documents: list[dict[str, Any]] = []
        self._group: asyncio.Task[None] | None = None

    def insert(self, document: dict[str, Any]) -> Awaitable[None]:
        """Insert it with whatever else is inserted in this tick."""
        self._documents.append(document)
        if self._group is None:
            self._group = asyncio.create_task(self._send(), name="a group of inserts")

        return asyncio.shield(self._group)

    async def _send(self) -> None:
        documents, self._documents, self._group = self._documents, [], None
        await self._collection.insert_many(documents, ordered=False)


if __name__ == "__main__":
    asyncio.run(measure())
