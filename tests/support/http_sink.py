"""A scripted HTTP server on loopback: keeps what it is asked, answers as told."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from aiohttp import web

TLS_NAME = "api.sink.test"
"""The name that the certificate of a sink with TLS is made out to."""

_CERTIFICATE = Path(__file__).with_name("http_sink.pem")
_MIB = 1_024 * 1_024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came; names of headers in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class HttpSink:
    """Serves ``script``s by path; a path without one answers 200 and no body.

    The replies of a script are given in their order, the last one for good.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.requests: list[Received] = []
        self.server_names: list[str | None] = []
        self.port = 0
        self._scripts: dict[str, deque[Reply]] = {}
        self._closing = asyncio.Event()
        self._arrived = asyncio.Event()
        self._tls = self._server_tls() if tls else None
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = web.Server(self._on_request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        assert self._runner is not None
        with anyio.move_on_after(5, shield=True):
            await self._runner.cleanup()

    def script(self, path: str, *replies: Reply) -> str:
        """Answer a path with these replies; returns its URL."""
        self._scripts[path] = deque(replies)
        return self.url(path)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path, under any name for this machine."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def asked(self, path: str) -> list[Received]:
        """What came for a path."""
        return [each for each in self.requests if each.path == path]

    async def received(self, number: int) -> None:
        """Return when so many requests have come."""
        while len(self.requests) < number:
            self._arrived.clear()
            await self._arrived.wait()

    async def closed(self) -> None:
        """Return when the sink closes."""
        await self._closing.wait()

    async def _on_request(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(
            Received(
                request.method,
                request.path,
                dict(request.query),
                {name.lower(): value for name, value in request.headers.items()},
                await request.read(),
            )
        )
        self._arrived.set()
        return await self._reply(request.path)(request, self)

    def _reply(self, path: str) -> Reply:
        replies = self._scripts.get(path)
        if not replies:
            return answer()

        return replies.popleft() if len(replies) > 1 else replies[0]

    def _server_tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATE)
        context.sni_callback = self._on_server_name
        return context

    def _on_server_name(
        self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> None:
        self.server_names.append(name)


Reply = Callable[[web.BaseRequest, HttpSink], Awaitable[web.StreamResponse]]
"""How one request is answered."""


def trusting_tls() -> ssl.SSLContext:
    """A client's TLS that trusts the sink's certificate and nothing else."""
    return ssl.create_default_context(cafile=str(_CERTIFICATE))


def answer(
    status: int = 200,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    delay_s: float = 0.0,
) -> Reply:
    """A plain answer."""

    async def reply(_request: web.BaseRequest, _sink: HttpSink) -> web.Response:
        await anyio.sleep(delay_s)
        return web.Response(status=status, body=body, headers=headers)

    return reply


def redirect(location: str, status: int = 302) -> Reply:
    """A redirect to anywhere, in these very characters."""
    head = f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0"
    return raw(f"{head}\r\n\r\n".encode())


def reset() -> Reply:
    """The connection is reset after the request was read, before any answer."""
    return raw(b"", end="reset")


def hold() -> Reply:
    """No answer until the sink closes."""

    async def reply(_request: web.BaseRequest, sink: HttpSink) -> web.Response:
        await sink.closed()
        return web.Response()

    return reply


def raw(*pieces: bytes, end: str = "close") -> Reply:
    """These very bytes, then the end: ``close``, ``reset`` or ``hold``."""

    async def reply(request: web.BaseRequest, sink: HttpSink) -> web.Response:
        transport = request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await anyio.sleep(0.01)

        if end == "hold":
            await sink.closed()

        _end(transport, reset=end == "reset")
        return web.Response()

    return reply


def drip(every_s: float = 0.01) -> Reply:
    """One byte after the other, without an end."""

    async def reply(request: web.BaseRequest, _sink: HttpSink) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in count():
            if not await _written(response, b"."):
                break

            await anyio.sleep(every_s)

        return response

    return reply


def huge(headers: Mapping[str, str] | None = None) -> Reply:
    """Ten GiB, as fast as they are taken."""
    return _flood(bytes(_MIB), 10 * 1_024, headers=headers)


def gzip_bomb() -> Reply:
    """Ten GiB of zeros in ten MiB of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    head = packer.compress(bytes(_MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(_MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return _flood(block, 10 * 1_024, first=head, headers={"Content-Encoding": "gzip"})


def _flood(
    block: bytes,
    times: int,
    *,
    first: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    async def reply(request: web.BaseRequest, _sink: HttpSink) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await _written(response, first)
        for _ in range(times):
            if not await _written(response, block):
                break

        return response

    return reply


async def _written(response: web.StreamResponse, piece: bytes) -> bool:
    """Whether there was still somebody to write to."""
    try:
        await response.write(piece)
    except ConnectionError:
        return False

    return True


def _end(transport: asyncio.Transport, *, reset: bool) -> None:
    if reset:
        opened: Any = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
