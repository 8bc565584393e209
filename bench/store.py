"""What the store does for a gated run: record, create, append; also when it is full."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.report import report
from contracts import DecisionRecord, RunEventType, RunRow
from store import Append, Store, open_store
from tests.support.stored import TENANT, append, ended, record, run

RUNS = 5_000
KEPT = 100_000
"""Ten events each: a store of 10^6 events."""

BEGIN: tuple[RunEventType, ...] = ("run_created", "run_claimed", "run_started")
NODE: tuple[RunEventType, ...] = ("node_start", "node_complete")


class Life(NamedTuple):
    """A run of three pure nodes as the store sees it."""

    said: DecisionRecord
    row: RunRow
    log: Append


async def measure(kept: int = KEPT) -> None:
    """Print runs per second, each of three writes, of an empty and of a full store."""
    # Not where temporary files usually are: that may be memory.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        async with open_store(f"sqlite:///{Path(folder, 'bench.db')}") as store:
            await _case(store, "1 at once", RUNS // 10, 1)
            await _case(store, "64 at once", RUNS, 64)
            for _ in range(kept // RUNS):
                await rate(store, RUNS, 256)

            await _case(store, f"64 at once, {kept} runs kept", RUNS, 64)


async def _case(store: Store, name: str, runs: int, at_once: int) -> None:
    per_second, took = await rate(store, runs, at_once)
    p99 = sorted(took)[int(len(took) * 0.99)] * 1_000
    report("store", name, per_second, "runs/s", p99_ms=p99)


async def rate(store: Store, runs: int, at_once: int) -> tuple[float, list[float]]:
    """Runs per second, and how long each took."""
    lives = [_life() for _ in range(runs)]
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_live(store, lives, took) for _ in range(at_once)))
    return runs / (time.perf_counter() - began), took


async def _live(store: Store, lives: list[Life], took: list[float]) -> None:
    while lives:
        life, began = lives.pop(), time.perf_counter()
        await store.decisions.record(life.said)
        await store.runs.create(life.row)
        await store.runs.append(TENANT, life.row.id, life.log)
        took.append(time.perf_counter() - began)


def _life() -> Life:
    said = record()
    row = run(said)
    log = append(row, 1, *BEGIN, *NODE, *NODE, *NODE, "workflow_complete")
    return Life(said, row, log._replace(state=ended(10)))


if __name__ == "__main__":
    asyncio.run(measure())
