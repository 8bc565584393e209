"""What may happen to a bus or a store: lost data, no memory, no primary, no answer.

That a server is held up is ``server.child.hold()``.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port
from tests.support.servers import MongoServer, RedisServer, Server, direct_client

_TIMEOUT_S = 5.0


async def restart(server: Server) -> None:
    """Kill it as kill -9 does and start it again with its files."""
    await server.kill()
    await server.start()


async def flush(server: RedisServer) -> None:
    """Lose all data of a server that goes on."""
    async with _redis(server) as client:
        await client.flushall()


async def wipe(server: RedisServer) -> None:
    """Kill it, delete its files, start it again."""
    await server.kill()
    _empty(server)
    await server.start()


async def copy_of(server: RedisServer, folder: Path) -> Path:
    """Copy its files as they are on the disk now, to be restored later."""
    await anyio.to_thread.run_sync(_copy, server.folder, folder)
    return folder


async def restore(server: RedisServer, copy: Path) -> None:
    """Kill it and start it with the files of an older copy."""
    await server.kill()
    _empty(server)
    await anyio.to_thread.run_sync(_copy, copy, server.folder)
    await server.start()


async def kill_connections(server: RedisServer) -> None:
    """Close the connections of all its clients but the one that says so."""
    async with _redis(server) as client:
        await client.client_kill_filter(_type="normal", skipme=True)


@asynccontextmanager
async def losing_connections(
    server: RedisServer, every_s: float
) -> AsyncIterator[None]:
    """Its clients lose their connections again and again while this lasts."""
    async with _again(every_s, server, kill_connections):
        yield


@asynccontextmanager
async def short_of_memory(
    server: RedisServer, limit: str = "1mb"
) -> AsyncIterator[None]:
    """It has no memory for more data while this lasts."""
    async with _redis(server) as client:
        await client.config_set("maxmemory", limit)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await client.config_set("maxmemory", "0")


@asynccontextmanager
async def read_only(server: RedisServer) -> AsyncIterator[None]:
    """It follows a primary that is not there, and takes no writes, while this lasts."""
    async with _redis(server) as client:
        await client.replicaof("127.0.0.1", str(free_port()))
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await client.replicaof("NO", "ONE")


async def step_down(server: MongoServer, seconds: int = 5) -> None:
    """No primary for so many seconds, then this one again."""
    order = {"replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 0}
    async with _mongo(server) as client:
        await client.admin.command({**order, "force": True})


@asynccontextmanager
async def stepping_down(
    server: MongoServer, every_s: float, seconds: int = 5
) -> AsyncIterator[None]:
    """It steps down again and again while this lasts."""

    async def once(server: MongoServer) -> None:
        await step_down(server, seconds)

    async with _again(every_s, server, once):
        yield


@asynccontextmanager
async def failing(
    server: MongoServer, commands: Sequence[str], times: int, **data: Any
) -> AsyncIterator[None]:
    """So many of these commands fail, as ``data`` of ``failCommand`` says.

    For instance ``errorCode=10107``, ``closeConnection=True`` or
    ``blockConnection=True, blockTimeMS=5_000``.
    """
    order = {"configureFailPoint": "failCommand"}
    async with _mongo(server) as client:
        told = {"failCommands": [*commands], **data}
        await client.admin.command({**order, "mode": {"times": times}, "data": told})
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await client.admin.command({**order, "mode": "off"})


@asynccontextmanager
async def _again(every_s: float, server: Any, deed: Any) -> AsyncIterator[None]:
    """Do it now and every so many seconds; a server that is away is left alone."""

    async def repeat() -> None:
        while True:
            try:
                await deed(server)
            except (RedisError, PyMongoError, OSError) as error:
                print(f"{deed.__name__}: {error}")

            await anyio.sleep(every_s)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(repeat, name=f"{deed.__name__} again and again")
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


def _redis(server: RedisServer) -> Redis:
    return Redis(port=server.port, socket_timeout=_TIMEOUT_S)


def _mongo(server: MongoServer) -> AsyncMongoClient[dict[str, Any]]:
    return direct_client(server.address, _TIMEOUT_S)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("output"), dirs_exist_ok=True
    )


def _empty(server: Server) -> None:
    """Delete its files, but not what it said."""
    for path in server.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "output":
            path.unlink()
