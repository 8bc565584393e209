"""Listening: a socket, an application behind it, and a quick, clean end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

from contracts import ConfigurationError
from gateways.http.app import make_app, make_health_app
from gateways.http.call import Door
from gateways.http.connections import Addresses, Connection

_SHUTDOWN_S = 5.0
"""So long requests under way may still take; as long again to be cancelled."""

_BACKLOG = 128


@asynccontextmanager
async def serve_http(door: Door, host: str, port: int) -> AsyncIterator[int]:
    """Listen while the context lasts; the value is the port in use.

    At the end the door first says for ``drain_s`` that it is leaving, and serves on;
    then nothing more is accepted, streams end, and whoever waits for an outcome is
    answered with what is known.
    Raises ConfigurationError if the address cannot be listened on.
    """
    async with _serving(make_app(door), door, host, port) as bound:
        yield bound


@asynccontextmanager
async def serve_health(door: Door, host: str, port: int) -> AsyncIterator[int]:
    """Listen for nobody but those who ask how the process is. See serve_http."""
    async with _serving(make_health_app(door), door, host, port) as bound:
        yield bound


@asynccontextmanager
async def _serving(
    app: web.Application, door: Door, host: str, port: int
) -> AsyncIterator[int]:
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        listening = await _listen(runner, host, port)
        try:
            yield int(listening.sockets[0].getsockname()[1])
        finally:
            await _leave(door)
            listening.close()
    finally:
        door.closing.set()
        with anyio.move_on_after(2 * _SHUTDOWN_S + 1, shield=True):
            await runner.cleanup()


async def _leave(door: Door) -> None:
    """Let those who send requests here learn that it is over."""
    door.leaving.set()
    with anyio.CancelScope(shield=True):
        await door.clock.sleep(door.drain_s)


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    server, addresses = runner.server, Addresses()
    if server is None:
        raise RuntimeError("The runner is not set up.")

    try:
        return await asyncio.get_running_loop().create_server(
            lambda: Connection(server, addresses),
            host,
            port,
            reuse_address=True,
            backlog=_BACKLOG,
        )
    except OSError as error:
        raise ConfigurationError(
            f"server.host, server.port: cannot listen on {host}:{port}: "
            f"{error.strerror or error}"
        ) from error
