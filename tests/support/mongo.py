"""Empty MongoDB stores for tests: one database a server, emptied in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from pymongo import AsyncMongoClient

from store.mongo import MongoStore
from store.mongo.schema import STEPS
from tests.support.servers import MongoServer

_SHARED = "shared"


def raw(server: MongoServer) -> AsyncMongoClient[dict[str, Any]]:
    """A client that looks at a server past our store."""
    return AsyncMongoClient(server.url("admin"), serverMonitoringMode="poll")


@asynccontextmanager
async def failing(
    server: MongoServer, *commands: str, times: int = 1, **how: Any
) -> AsyncIterator[None]:
    """These commands of the store fail so many times, in the way of a fail point."""
    data = {"failCommands": list(commands), "appName": "sluicegate", **how}
    point = {"configureFailPoint": "failCommand"}
    async with raw(server) as client:
        await client.admin.command({**point, "mode": {"times": times}, "data": data})
        try:
            yield
        finally:
            await client.admin.command({**point, "mode": "off"})


@asynccontextmanager
async def emptied(server: MongoServer) -> AsyncIterator[MongoStore]:
    """The store of a database that others used before, as empty as a new one.

    To make all indexes takes half a second, to remove what a test wrote a few
    milliseconds.
    """
    async with MongoStore.open(server.url(_SHARED)) as store:
        await _empty(store)
        yield store


async def empty(url: str) -> None:
    """Remove everything from a database, which is made if it is not there."""
    async with MongoStore.open(url) as store:
        await _empty(store)


async def _empty(store: MongoStore) -> None:
    async with anyio.create_task_group() as tasks:
        for name in {name for step in STEPS for name in step.indexes}:
            tasks.start_soon(store.database.delete, name, {})
