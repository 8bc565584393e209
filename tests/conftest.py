"""What every test stands on: one event loop, and no network beyond this machine."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.servers import (
    MongoServer,
    RedisServer,
    redis62_binary,
    running,
)

_CONNECTING = frozenset({"socket.connect", "socket.sendto"})
_RESOLVING = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
"""Audit events that tell the address of a socket, and the name of a host."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Fixtures of every scope and the tests share the loop of this backend."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> None:
    """Nothing in this process reaches another machine; an audit hook sees every way."""
    sys.addaudithook(_refuse_to_reach_out)


@pytest.fixture(scope="session")
async def redis_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RedisServer]:
    """A Valkey server of this test process; a test that stops it starts it again."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    async with running(server):
        yield server


@pytest.fixture(scope="session")
async def redis62_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RedisServer]:
    """A Redis 6.2 of this test process: the oldest server that is supported."""
    server = RedisServer(tmp_path_factory.mktemp("redis62"), redis62_binary())
    async with running(server):
        yield server


@pytest.fixture(scope="session")
async def mongo_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[MongoServer]:
    """A mongod of this test process; a test that stops it starts it again."""
    server = MongoServer(tmp_path_factory.mktemp("mongo"))
    async with running(server):
        yield server


def _refuse_to_reach_out(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTING:
        _refuse_elsewhere(_host(arguments[1]))
    elif event in _RESOLVING:
        _refuse_elsewhere(arguments[0])


def _refuse_elsewhere(host: object) -> None:
    if not _is_here(host):
        raise RuntimeError(f"A test reached for {host!r}; serve it on 127.0.0.1.")


def _host(address: object) -> object:
    """The host of an internet address; a path or None stays on this machine."""
    return address[0] if isinstance(address, tuple) else None


def _is_here(host: object) -> bool:
    name = host.decode("idna") if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return True

    try:
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        return False
