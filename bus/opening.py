"""Which bus a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.in_process import InProcessBus
from bus.protocol import Bus
from contracts import Clock, ConfigurationError


@asynccontextmanager
async def open_bus(
    url: str,
    clock: Clock,
    *,
    key: bytes = b"",  # noqa: ARG001  memory needs no signature
) -> AsyncIterator[Bus]:
    """The bus of this URL (``memory://``), closed at the end of the context.

    ``key`` signs what goes over a bus that processes share.
    Raises ConfigurationError for a URL that names no bus.
    """
    if url != "memory://":
        raise ConfigurationError(f"bus.url: {url!r} names no bus; use memory://")

    bus = InProcessBus(clock)
    try:
        yield bus
    finally:
        await bus.close()
