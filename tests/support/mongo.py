"""Empty MongoDB stores for tests: one database a server, emptied in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from store import Store, open_store
from store.mongo import MongoStore
from store.mongo.schema import STEPS
from tests.support.servers import MongoServer

_SHARED = "shared"


@asynccontextmanager
async def emptied(server: MongoServer) -> AsyncIterator[Store]:
    """The store of a database that others used before, as empty as a new one.

    To make all indexes takes half a second, to remove what a test wrote a few
    milliseconds.
    """
    url = server.url(_SHARED)
    await empty(url)
    async with open_store(url) as store:
        yield store


async def empty(url: str) -> None:
    """Remove everything from a database, which is made if it is not there."""
    async with MongoStore.open(url) as store:
        for name in {name for step in STEPS for name in step.indexes}:
            await store.database.delete(name, {})
