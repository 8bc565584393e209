"""Listening: a socket, an application behind it, and a quick, clean end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from contracts import ConfigurationError
from gateways.http.app import make_app
from gateways.http.call import Door

_SHUTDOWN_S = 5.0
_LINE_BYTES = 16_384


@asynccontextmanager
async def serve_http(door: Door, host: str, port: int) -> AsyncIterator[int]:
    """Listen while the context lasts; the value is the port in use.

    Raises ConfigurationError if the address cannot be listened on.
    """
    runner = web.AppRunner(
        make_app(door),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        max_line_size=_LINE_BYTES,
        handle_signals=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                f"server.host, server.port: cannot listen on {host}:{port}: "
                f"{error.strerror}"
            ) from error

        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
