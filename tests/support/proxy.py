"""A link that can fail: a TCP proxy on loopback between a client and one server.

How each direction behaves may be changed at any time, for the connections that there
are as for those to come. What is random comes from a seed.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import anyio
from anyio.abc import Listener, SocketAttribute, SocketStream, TaskGroup

Way = Literal["there", "back"]
"""From the client to the server, and from the server to the client."""

WAYS: tuple[Way, ...] = ("there", "back")

_PIECE = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(frozen=True, slots=True)
class Manner:
    """How one direction treats what goes through it; as it is made, it passes all."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """At most so much is added to the latency of a piece."""

    bytes_per_s: float | None = None
    swallows: bool = False
    """Nothing arrives, and nobody is told; a connection that lost a byte stays dead."""

    cut_after: int | None = None
    """Each connection is reset after so many more bytes of this direction."""


@dataclass(slots=True)
class _Dropping:
    """Requests that are still to be carried out without their reply."""

    times: int = 0
    containing: bytes = b""

    def takes(self, piece: bytes) -> bool:
        if not self.times or self.containing not in piece:
            return False

        self.times -= 1
        return True


@dataclass(slots=True, eq=False)
class _Connection:
    """Two sockets, and what became of what went between them."""

    client: SocketStream
    server: SocketStream
    left: dict[Way, int | None] = field(default_factory=dict)
    dead: bool = False
    deaf: bool = False

    def ends(self, way: Way) -> tuple[SocketStream, SocketStream]:
        """Where bytes of this direction come from, and where they go."""
        pair = (self.client, self.server)
        return pair if way == "there" else (pair[1], pair[0])

    async def reset(self) -> None:
        """Let both sides see a connection that was reset."""
        for stream in (self.client, self.server):
            await _reset(stream)


class Proxy:
    """A listening port whose connections lead to a port on this machine.

    Made by ``open_proxy``. ``passed`` counts the bytes of both directions.
    """

    def __init__(
        self, listener: Listener[SocketStream], target: int, seed: int
    ) -> None:
        self.port = int(listener.extra(SocketAttribute.local_port))  # noqa: S610
        self.passed: dict[Way, int] = {"there": 0, "back": 0}
        self._target = target
        self._dice = random.Random(f"proxy {seed}")
        self._manners: dict[Way, Manner] = dict.fromkeys(WAYS, Manner())
        self._refuses = False
        self._dropping = _Dropping()
        self._connections: set[_Connection] = set()

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def heal(self) -> None:
        """Pass everything from now on; connections that lost bytes stay dead."""
        self.behave(Manner())
        self._refuses = False
        self._dropping = _Dropping()

    def behave(self, manner: Manner, *ways: Way) -> None:
        """Treat these directions in this manner, both if none is named."""
        for way in ways or WAYS:
            self._manners[way] = manner
            for connection in self._connections:
                connection.left[way] = manner.cut_after

    def black_hole(self, *ways: Way) -> None:
        """Swallow everything; connections stay open and are accepted."""
        self.behave(Manner(swallows=True), *ways)

    def refuse(self) -> None:
        """Close every new connection; those that there are go on."""
        self._refuses = True

    def drop_replies(self, times: int = 1, containing: bytes = b"") -> None:
        """Let so many requests be carried out, and close instead of replying.

        Only pieces that contain these bytes count as requests.
        """
        self._dropping = _Dropping(times, containing)

    async def reset(self) -> int:
        """Reset the connections that there are; how many there were."""
        open_now = list(self._connections)
        for connection in open_now:
            await connection.reset()

        return len(open_now)

    async def accept(self, client: SocketStream) -> None:
        """Lead a new connection to the server, until one of its ends is gone."""
        async with client:
            if self._refuses:
                return

            try:
                server = await anyio.connect_tcp("127.0.0.1", self._target)
            except OSError:
                await _reset(client)
                return

            async with server:
                await self._connect(client, server)

    async def _connect(self, client: SocketStream, server: SocketStream) -> None:
        left = {way: manner.cut_after for way, manner in self._manners.items()}
        connection = _Connection(client, server, left)
        self._connections.add(connection)
        try:
            async with anyio.create_task_group() as pumps:
                for way in WAYS:
                    pump = partial(self._pump, connection, way, pumps)
                    pumps.start_soon(pump, name=f"bytes on their way {way}")
        finally:
            self._connections.discard(connection)

    async def _pump(self, connection: _Connection, way: Way, pumps: TaskGroup) -> None:
        """Pass pieces until an end is gone; then the other direction ends, too."""
        source, _ = connection.ends(way)
        try:
            while True:
                piece = await source.receive(_PIECE)
                if not await self._passes(connection, way, piece):
                    break
        except _GONE:
            pass

        if not connection.dead:
            pumps.cancel_scope.cancel()

    async def _passes(self, connection: _Connection, way: Way, piece: bytes) -> bool:
        """Treat a piece as this direction does; whether the connection goes on."""
        manner = self._manners[way]
        await self._linger(manner, len(piece))
        if way == "back" and connection.deaf:
            await _reset(connection.client)
            return False

        # looked at again: it may have changed while the piece was on its way
        if self._manners[way].swallows or connection.dead:
            connection.dead = True
            return True

        if way == "there" and self._dropping.takes(piece):
            connection.deaf = True

        return await self._forward(connection, way, piece)

    async def _linger(self, manner: Manner, size: int) -> None:
        seconds = manner.latency_s + self._dice.uniform(0, manner.jitter_s)
        if manner.bytes_per_s:
            seconds += size / manner.bytes_per_s

        if seconds:
            await anyio.sleep(seconds)

    async def _forward(self, connection: _Connection, way: Way, piece: bytes) -> bool:
        left = connection.left[way]
        sent = piece if left is None else piece[:left]
        await connection.ends(way)[1].send(sent)
        self.passed[way] += len(sent)
        if left is None:
            return True

        connection.left[way] = left - len(sent)
        if left > len(piece):
            return True

        await connection.reset()
        return False


@asynccontextmanager
async def open_proxy(target: int, seed: int = 0) -> AsyncIterator[Proxy]:
    """A proxy in front of a port, on a port of its own; gone after the context."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy = Proxy(listener, target, seed)
    async with listener, anyio.create_task_group() as tasks:
        serve = partial(listener.serve, proxy.accept, tasks)
        tasks.start_soon(serve, name=f"the proxy of port {target}")
        try:
            yield proxy
        finally:
            tasks.cancel_scope.cancel()


async def _reset(stream: SocketStream) -> None:
    opened = stream.extra(SocketAttribute.raw_socket)  # noqa: S610
    if opened.fileno() >= 0:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    await stream.aclose()
