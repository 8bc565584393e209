"""Opening a MongoDB store: what is refused, and how a schema comes about."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import pytest
from pymongo import IndexModel

from contracts import ConfigurationError, StoreUnavailable
from store import open_store
from store.mongo import MongoStore, migrations
from store.mongo.migrations import Step, migrate, schema_version
from store.mongo.schema import STEPS
from tests.support.checkout import ROOT
from tests.support.mongo import failing, raw
from tests.support.ports import free_port
from tests.support.servers import MongoServer, running

NAME = "opening"


class Standalone(MongoServer):
    """mongod outside a replica set."""

    def command(self) -> list[str]:
        words = super().command()
        place = words.index("--replSet")
        return words[:place] + words[place + 2 :]

    async def answers(self) -> bool:
        try:
            stream = await anyio.connect_tcp("127.0.0.1", self.port)
        except OSError:
            return False

        await stream.aclose()
        return True


@pytest.fixture
async def url(mongo_server: MongoServer) -> AsyncIterator[str]:
    """The URL of a database that is not there before or after."""
    async with raw(mongo_server) as client:
        await client.drop_database(NAME)
        yield mongo_server.url(NAME)
        await client.drop_database(NAME)


async def opened(url: str, deadline_s: float = 0.7) -> None:
    async with MongoStore.open(url, deadline_s=deadline_s):
        pass


async def test_a_url_of_a_database_opens_a_store(url: str) -> None:
    async with open_store(url) as store:
        await store.ping()

    async with open_store(url) as store:
        await store.ping()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("&w=0", "w=majority"),
        ("&w=1", "w=majority"),
        ("&journal=false", "journal"),
        ("&retryWrites=false", "retryWrites"),
        ("&compressors=zlib", "zlib"),
    ],
)
async def test_a_url_that_asks_for_less_than_a_store_needs_is_refused(
    url: str, change: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        await opened(url + change)

    assert refused.value.code == "store_unusable"
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("mongodb://127.0.0.1/?replicaSet=rs0", "names no database"),
        ("mongodb://127.0.0.1:port/name", "cannot be read"),
        ("mongodb://", "cannot be read"),
    ],
)
async def test_a_url_that_names_no_database_of_a_server_is_refused(
    bad: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        await opened(bad)


@pytest.mark.parametrize("asked", ["", "?replicaSet=rs0"])
async def test_a_server_outside_a_replica_set_is_refused(
    asked: str, tmp_path: Path
) -> None:
    server = Standalone(tmp_path)
    async with running(server):
        with pytest.raises(ConfigurationError, match="standalone"):
            await opened(f"mongodb://{server.address}/name{asked}")


OPENING = """
import anyio, sys
from contracts import StoreUnavailable
from store.mongo import MongoStore

async def main():
    try:
        async with MongoStore.open(sys.argv[1], deadline_s=1.0):
            print("open")
    except StoreUnavailable as error:
        print(error.code)

anyio.run(main)
"""
"""A process of its own: the driver leaves the socket of a monitor that is cut while it
connects to nobody, and here unclosed sockets are errors."""


async def test_an_absent_server_is_unavailable_within_the_deadline() -> None:
    url = f"mongodb://127.0.0.1:{free_port()}/name?replicaSet=rs0"
    with anyio.fail_after(10):
        done = await anyio.run_process([sys.executable, "-c", OPENING, url], cwd=ROOT)

    assert done.stdout.decode().strip() == "mongo_unavailable"


async def test_a_newer_schema_is_refused(url: str) -> None:
    async with MongoStore.open(url) as store:
        await store.database.changed("meta", {}, {"$set": {"value": 99}})

    with pytest.raises(ConfigurationError) as refused:
        await opened(url)

    assert refused.value.code == "store_too_new"
    assert refused.value.details == {"found": 99, "known": len(STEPS)}


async def test_a_migration_that_was_cut_off_goes_on_where_it_was(
    url: str, mongo_server: MongoServer
) -> None:
    async with failing(mongo_server, "createIndexes", errorCode=8000, times=9):
        with pytest.raises(StoreUnavailable):
            await opened(url)

    async with raw(mongo_server) as client:
        assert await client[NAME].list_collection_names() != []

    async with MongoStore.open(url) as store:
        assert await schema_version(store.database) == len(STEPS)
        assert await indexes(store) == expected()


async def test_processes_that_start_at_once_migrate_together(url: str) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(opened, url, 10.0)

    async with MongoStore.open(url) as store:
        assert await indexes(store) == expected()


async def test_an_older_version_leaves_a_schema_as_it_is(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = Step(len(STEPS) + 1, "more", {"more": (IndexModel("n", name="n"),)})
    async with MongoStore.open(url) as store:
        assert await migrate(store.database, (*STEPS, more)) == 1
        assert await migrate(store.database, (*STEPS, more)) == 0
        monkeypatch.setattr(migrations, "schema_version", _late)

        assert await migrate(store.database, STEPS) == len(STEPS)
        assert await schema_version(store.database) == len(STEPS) + 1


async def _late(_: object) -> int:
    """What a process read before all others had finished."""
    return 0


async def indexes(store: MongoStore) -> dict[str, set[str]]:
    found = {}
    for name in expected():
        known = await store.database.collection(name).index_information()
        found[name] = known.keys() - {"_id_"}

    return found


def expected() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for step in STEPS:
        for name, models in step.indexes.items():
            found.setdefault(name, set()).update(names(models))

    return found


def names(models: Sequence[IndexModel]) -> set[str]:
    return {model.document["name"] for model in models}
