"""Which bus a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.in_process import InProcessBus
from bus.protocol import Bus
from contracts import Clock, ConfigurationError, Finding

_SHARED = ("redis://", "rediss://", "unix://")


@asynccontextmanager
async def open_bus(
    url: str, clock: Clock, *, key: bytes = b"", namespace: str = "sluicegate"
) -> AsyncIterator[Bus]:
    """The bus of this URL, closed at the end of the context.

    ``memory://`` is the bus inside this process; ``redis://``, ``rediss://`` and
    ``unix://`` name a Redis, which need not be up yet. Messages there are signed
    with ``key``, and every name begins with ``namespace``.
    Raises ConfigurationError for a URL that names no bus, and for a shared bus
    without a key of at least 32 bytes.
    """
    bus = _bus(url, clock, key, namespace)
    try:
        yield bus
    finally:
        await bus.close()


async def examine_bus(url: str) -> Finding:
    """What a look at the bus of this URL finds. Raises ConfigurationError."""
    if url == "memory://":
        return Finding("bus", "ok", "in memory, inside the service")

    if not url.startswith(_SHARED):
        raise _unknown(url)

    from bus.redis_streams.examination import examine  # noqa: PLC0415

    return await examine(url)


def _bus(url: str, clock: Clock, key: bytes, namespace: str) -> Bus:
    if url == "memory://":
        return InProcessBus(clock)

    if url.startswith(_SHARED):
        return _shared(url, clock, key, namespace)

    raise _unknown(url)


def _shared(url: str, clock: Clock, key: bytes, namespace: str) -> Bus:
    # only who shares a bus pays for the driver
    from bus.redis_streams import RedisStreamsBus  # noqa: PLC0415

    return RedisStreamsBus(url, clock, key=key, namespace=namespace)


def _unknown(url: str) -> ConfigurationError:
    scheme = url.partition("://")[0]
    return ConfigurationError(
        f"bus.url: {scheme!r} names no bus; use memory:// or redis://HOST:PORT/0"
    )
