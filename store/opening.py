"""Which store a URL names, and which short-term context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import ConfigurationError, Finding
from store.memory_context import MemoryContext
from store.protocol import ChatContext, Store
from store.sqlite import MEMORY, SqliteStore, Synchronous, engine_version

_FILE = "sqlite:///"
_IN_MEMORY = "sqlite://:memory:"
_MONGO = ("mongodb://", "mongodb+srv://")
_REDIS = ("redis://", "rediss://", "unix://")


@asynccontextmanager
async def open_store(
    url: str, *, synchronous: Synchronous = "FULL"
) -> AsyncIterator[Store]:
    """The store of this URL, closed at the end of the context.

    ``sqlite:///data/store.db`` is a relative path, ``sqlite:////srv/store.db`` an
    absolute one, ``sqlite://:memory:`` lasts as long as the context. With
    ``synchronous`` NORMAL a loss of power may take the last commits.
    ``mongodb://host/name?replicaSet=rs0`` is a database of a replica set.
    Raises ConfigurationError for a URL that names no store, a file in use, a server
    that is no replica set or a newer schema; StoreUnavailable if no server answers.
    """
    if url.startswith(_MONGO):
        from store.mongo import MongoStore  # noqa: PLC0415  the driver, only if asked

        async with MongoStore.open(url) as store:
            yield store

        return

    async with SqliteStore.open(_path(url), synchronous=synchronous) as embedded:
        yield embedded


async def examine_store(url: str) -> Finding:
    """What a look at the store of this URL finds; a file in use is left alone.

    Raises ConfigurationError for a URL that names no store.
    """
    if url.startswith(_MONGO):
        from store.mongo.examination import examine  # noqa: PLC0415

        return await examine(url)

    _path(url)
    version, safe = engine_version()
    if safe:
        return Finding("sqlite", "ok", version)

    said = f"{version}: fine here, where one connection writes; open it with no other"
    return Finding("sqlite", "note", said)


@asynccontextmanager
async def open_context(
    url: str, *, namespace: str = "sluicegate"
) -> AsyncIterator[ChatContext]:
    """The short-term context of conversations that goes with the bus of this URL.

    ``memory://`` is kept inside this process, until it is closed; ``redis://``,
    ``rediss://`` and ``unix://`` name a Redis, which need not be up yet, where every
    name begins with ``namespace``. Raises ConfigurationError for any other URL.
    """
    if url == "memory://":
        yield MemoryContext()
        return

    if not url.startswith(_REDIS):
        scheme = url.partition("://")[0]
        known = "memory:// or redis://HOST:PORT/0"
        message = f"bus.url: {scheme!r} names no context; use {known}"
        raise ConfigurationError(message, code="store_unusable")

    from store.redis_context import RedisContext  # noqa: PLC0415  as above

    async with RedisContext.open(url, namespace=namespace) as shared:
        yield shared


def _path(url: str) -> str:
    if url == _IN_MEMORY:
        return MEMORY

    if url.startswith(_FILE) and len(url) > len(_FILE):
        return url.removeprefix(_FILE)

    known = f"sqlite:///path, {_IN_MEMORY} or mongodb://host/name"
    scheme = url.partition("://")[0]
    message = f"store.url: {scheme!r} names no store; use {known}"
    raise ConfigurationError(message, code="store_unusable")
