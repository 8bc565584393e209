"""Gated durable runs on Redis and MongoDB, beside embedded ones of the same run."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bench.durable_runs import Bench, Case, settings_of
from bus import open_bus
from contracts import JsonObject
from sluicegate.clock import SystemClock
from sluicegate.config import Settings
from sluicegate.wiring import Service, open_service
from store import Store, open_store
from tests.support.child import Child
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.servers import MongoServer, RedisServer, running
from tests.support.service import environment, serving_on

_KEY = "b" * 32
_APART = ("gateway", "coordinator", "worker", "worker")
_READY_S = 60
_CASES = (
    Case("bench-pure", {"name": "Ada"}, 200, 1),
    Case("bench-pure", {"name": "Ada"}, 1_000, 64),
    Case("bench-effectful", {"n": 1}, 100, 1),
    Case("bench-effectful", {"n": 1}, 500, 64),
)


async def measure() -> None:
    """Print runs per second and their times."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        redis, mongo = RedisServer(Path(folder, "r")), MongoServer(Path(folder, "m"))
        embedded = Settings.model_validate(settings_of(Path(folder, "embedded")))
        async with open_service(embedded, SystemClock()) as service:
            beside = await _cases(service, "embedded")

        async with running(redis), running(mongo):
            async with _together(Path(folder), redis, mongo) as service:
                await _cases(service, "one process", beside)

            async with _apart(Path(folder), redis, mongo) as service:
                await _cases(service, "roles apart", beside)


async def _cases(
    service: Service, where: str, beside: Iterable[float | None] = (None,) * 4
) -> list[float]:
    """The rate of each case, printed as a ratio of those beside it."""
    bench = await Bench.prepared(service)
    await bench.run("bench-pure", {"name": "Ada"}, runs=200, at_once=8)
    return [
        await bench.report(case, where=f"{where}: ", beside=other)
        for case, other in zip(_CASES, beside, strict=True)
    ]


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
            own = folder / f"{role}{n}"
            await life.enter_async_context(_process(role, own, _settings(redis, mongo)))

        store = await life.enter_async_context(open_store(mongo.url("apart")))
        opening = open_bus(
            redis.url, SystemClock(), key=_KEY.encode(), namespace="apart"
        )
        bus = await life.enter_async_context(opening)
        await _ready(store)
        yield Service("", store, bus, first_start=False, data_dir=folder)


@asynccontextmanager
async def _process(
    role: str, folder: Path, settings: dict[str, str]
) -> AsyncIterator[None]:
    child = Child(folder.with_suffix(".output"))
    own = environment(DATA_DIR=str(folder), **settings)
    await child.start(serving_on(free_port(), role), own)
    try:
        yield
    finally:
        await child.kill()


def _settings(redis: RedisServer, mongo: MongoServer) -> dict[str, str]:
    return {
        "BUS__URL": redis.url,
        "BUS__NAMESPACE": "apart",
        "STORE__URL": mongo.url("apart"),
        "KEYS__BUS": _KEY,
        "KEYS__SEAL": _KEY,
        "LOGGING__LEVEL": "warning",
    }


async def _ready(store: Store) -> None:
    """Return when every process has said that it lives. Raises TimeoutError."""

    async def all_live() -> bool:
        return len(await store.workers.alive("")) >= len(_APART)

    if not await until(all_live, within_s=_READY_S):
        raise TimeoutError("Not every process came up.")
