"""Which store a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import ConfigurationError
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


def embedded_engine() -> tuple[str, bool]:
    """The version of SQLite here, and whether many connections could write safely.

    Before 3.51.3 several that write and checkpoint at once may damage a file; the
    store opens one.
    """
    return engine_version()


def _path(url: str) -> str:
    if url == _IN_MEMORY:
        return MEMORY

    if url.startswith(_FILE) and len(url) > len(_FILE):
        return url.removeprefix(_FILE)

    message = f"store.url: {url!r} names no store; use sqlite:///path or {_IN_MEMORY}"
    raise ConfigurationError(message, code="store_unusable")
