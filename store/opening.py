"""Which store a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import ConfigurationError, Finding
from store.protocol import Store
from store.sqlite import MEMORY, SqliteStore, Synchronous, engine_version

_FILE = "sqlite:///"
_IN_MEMORY = "sqlite://:memory:"


@asynccontextmanager
async def open_store(
    url: str, *, synchronous: Synchronous = "FULL"
) -> AsyncIterator[Store]:
    """The store of this URL, closed at the end of the context.

    ``sqlite:///data/store.db`` is a relative path, ``sqlite:////srv/store.db`` an
    absolute one, ``sqlite://:memory:`` lasts as long as the context. With
    ``synchronous`` NORMAL a loss of power may take the last commits.
    Raises ConfigurationError for a URL that names no store, a file in use or of a
    newer schema.
    """
    async with SqliteStore.open(_path(url), synchronous=synchronous) as store:
        yield store


async def examine_store(url: str) -> Finding:
    """What a look at the store of this URL finds; a file in use is left alone.

    Raises ConfigurationError for a URL that names no store.
    """
    _path(url)
    version, safe = engine_version()
    if safe:
        return Finding("sqlite", "ok", version)

    said = f"{version}: fine here, where one connection writes; open it with no other"
    return Finding("sqlite", "note", said)


def _path(url: str) -> str:
    if url == _IN_MEMORY:
        return MEMORY

    if url.startswith(_FILE) and len(url) > len(_FILE):
        return url.removeprefix(_FILE)

    message = f"store.url: {url!r} names no store; use sqlite:///path or {_IN_MEMORY}"
    raise ConfigurationError(message, code="store_unusable")
