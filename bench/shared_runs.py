"""Gated durable runs on Redis and MongoDB: in one process, and with the roles apart."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bench.durable_runs import Bench, settings_of
from bus import open_bus
from contracts import JsonObject
from sluicegate.clock import SystemClock
from sluicegate.config import Settings
from sluicegate.wiring import Service, open_service
from store import Store, open_store
from tests.support.polling import until
from tests.support.servers import MongoServer, RedisServer, running

_KEY = "b" * 32
_APART = ("gateway", "coordinator", "worker", "worker")
_READY_S = 30


async def measure() -> None:
    """Print runs per second and their times."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        redis, mongo = RedisServer(Path(folder, "r")), MongoServer(Path(folder, "m"))
        async with running(redis), running(mongo):
            async with _together(Path(folder), redis, mongo) as service:
                await _cases(service, "one process")

            async with _apart(Path(folder), redis, mongo) as service:
                await _cases(service, "roles apart")


async def _cases(service: Service, where: str) -> None:
    bench = await Bench.prepared(service)
    await bench.run("bench-pure", {"name": "Ada"}, runs=200, at_once=8)
    for name, values in (
        ("bench-pure", {"name": "Ada"}),
        ("bench-effectful", {"n": 1}),
    ):
        for runs, at_once in ((200, 1), (2_000, 64)):
            what = f"{where}: {name}, {at_once} at once"
            await bench.report(name, values, runs=runs, at_once=at_once, what=what)


@asynccontextmanager
async def _together(
    folder: Path, redis: RedisServer, mongo: MongoServer
) -> AsyncIterator[Service]:
    shared: JsonObject = {
        "bus": {"url": redis.url, "namespace": "together"},
        "store": {"url": mongo.url("together")},
        "keys": {"bus": SecretStr(_KEY), "seal": SecretStr(_KEY)},
    }
    settings = Settings.model_validate({**settings_of(folder / "one"), **shared})
    async with open_service(settings, SystemClock()) as service:
        yield service


@asynccontextmanager
async def _apart(
    folder: Path, redis: RedisServer, mongo: MongoServer
) -> AsyncIterator[Service]:
    """The bench beside four processes: it only asks and listens, as a gateway does."""
    async with AsyncExitStack() as life:
        for n, role in enumerate(_APART):
            environment = _environment(folder / f"{role}{n}", redis, mongo)
            await life.enter_async_context(_process(role, environment))

        store = await life.enter_async_context(open_store(mongo.url("apart")))
        opening = open_bus(
            redis.url, SystemClock(), key=_KEY.encode(), namespace="apart"
        )
        bus = await life.enter_async_context(opening)
        await _ready(store)
        yield Service("", store, bus, first_start=False, data_dir=folder)


@asynccontextmanager
async def _process(role: str, environment: dict[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sluicegate", "serve", "--role", role),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def _environment(
    folder: Path, redis: RedisServer, mongo: MongoServer
) -> dict[str, str]:
    own = {
        "DATA_DIR": str(folder),
        "SERVER__PORT": "0",
        "BUS__URL": redis.url,
        "BUS__NAMESPACE": "apart",
        "STORE__URL": mongo.url("apart"),
        "KEYS__BUS": _KEY,
        "KEYS__SEAL": _KEY,
        "LOGGING__LEVEL": "warning",
    }
    return {**os.environ, **{f"SLUICEGATE_{name}": text for name, text in own.items()}}


async def _ready(store: Store) -> None:
    """Return when every process has said that it lives. Raises TimeoutError."""

    async def all_live() -> bool:
        return len(await store.workers.alive("")) >= len(_APART)

    if not await until(all_live, within_s=_READY_S):
        raise TimeoutError("Not every process came up.")
