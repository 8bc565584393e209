"""Connections: how many of one address may idle, how long a header may take."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from http import HTTPStatus
from typing import cast

import anyio
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from contracts import LIMITS, PermanentError, SluicegateError, TemporaryError
from gateways.http.headers import SECURITY, new_request_id
from gateways.http.problems import problem_response

_URL_LINE_BYTES = 16_384
"""Longer request lines are not even parsed; the limit that callers see is smaller."""

_HEADER_BYTES = 8_190
_KEPT_ALIVE_S = 75.0
_LINGER_S = 1.0
"""So long what still comes in is thrown away, that the client may read the answer."""

_QUIET_S = 0.1
"""A client that sends nothing for so long has heard the answer."""

_SAID_OF = (
    ("'host'", "unknown_host"),
    ("b'authorization:", "invalid_credentials"),
)
"""Words of the parser that tell which header it refused, and what that means."""

_NO_ACCESS_LOG = logging.getLogger("sluicegate.access")
_NO_ACCESS_LOG.disabled = True


class Addresses:
    """Which connections idle, by the address they come from.

    At most so many of one address do. One that was used and kept makes room for a
    new one; one that never spoke does not.
    """

    def __init__(self) -> None:
        self._most = LIMITS["connections_per_address"]
        self._silent: defaultdict[str, set[Connection]] = defaultdict(set)
        self._kept: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False if there is no room for it."""
        silent, kept = self._silent[connection.host], self._kept[connection.host]
        if len(silent) + len(kept) >= self._most:
            if not kept:
                return False

            oldest = next(iter(kept))
            del kept[oldest]
            oldest.force_close()

        silent.add(connection)
        return True

    def keep(self, connection: Connection) -> None:
        """It was answered and waits for its next request."""
        self._kept[connection.host][connection] = None

    def forget(self, connection: Connection) -> None:
        """It does not idle: a request is under way, or it has gone."""
        host = connection.host
        self._silent[host].discard(connection)
        self._kept[host].pop(connection, None)
        if not self._silent[host]:
            del self._silent[host]

        if not self._kept[host]:
            del self._kept[host]


class Connection(web.RequestHandler):
    """A connection as aiohttp handles it, within our bounds.

    What cannot be parsed is answered with a problem and is one line of the log.
    """

    def __init__(self, server: web.Server, addresses: Addresses) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_NO_ACCESS_LOG,
            keepalive_timeout=_KEPT_ALIVE_S,
            max_line_size=_URL_LINE_BYTES,
            max_field_size=_HEADER_BYTES,
            lingering_time=_LINGER_S,
        )
        self.host = ""
        self.gone = asyncio.Event()
        self._addresses = addresses
        self._admitted = self._busy = self._failed = False
        self._more = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._log = structlog.get_logger("http").bind()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and give its first request a deadline."""
        peer = transport.get_extra_info("peername")
        self.host = str(peer[0]) if isinstance(peer, tuple) else ""
        self._admitted = self._addresses.admit(self)
        if self._admitted:
            super().connection_made(transport)
            self._expect_header()
        else:
            error = TemporaryError(code="too_many_connections")
            self._end(cast(asyncio.Transport, transport), error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no more; ``gone`` is set."""
        self.gone.set()
        self._more.set()
        self._stop_expecting()
        if self._admitted:
            self._addresses.forget(self)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came in; a request that begins has a deadline for its header."""
        if self._failed:
            self._more.set()
            return

        if not self._busy and self._deadline is None:
            self._expect_header()

        super().data_received(data)

    def begun(self) -> None:
        """A whole header came in, and its request is under way."""
        self._busy = True
        self._stop_expecting()
        self._addresses.forget(self)

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; after it the connection idles, unless it closes."""
        sent = await super().finish_response(request, resp, start_time)
        self._busy = False
        if self._failed:
            await self._linger()
        elif self.transport is not None:
            self._addresses.keep(self)

        return sent

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The problem for what cannot be parsed; the connection closes after it."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("The answer had begun.")

        self._failed = True
        self._more.set()
        self._stop_expecting()
        return self._problem(_told(exc))

    async def _linger(self) -> None:
        """Let a client that still sends come to read what it was told."""
        with anyio.move_on_after(_LINGER_S):
            while self._more.is_set() and self.transport is not None:
                self._more.clear()
                with anyio.move_on_after(_QUIET_S):
                    await self._more.wait()

    def _expect_header(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(LIMITS["header_seconds"], self._too_slow)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport is not None:
            seconds = LIMITS["header_seconds"]
            sentence = f"The header did not arrive within {seconds} seconds."
            self._end(self.transport, PermanentError(sentence, code="body_incomplete"))

    def _end(self, transport: asyncio.Transport, error: SluicegateError) -> None:
        """Answer without having been asked, and close."""
        response = self._problem(error)
        body = response.body if isinstance(response.body, bytes) else b""
        head = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        fields = {**response.headers, "Content-Length": str(len(body))}
        head += [f"{name}: {value}" for name, value in fields.items()]
        transport.write("\r\n".join([*head, "Connection: close", "", ""]).encode())
        transport.write(body)
        transport.close()

    def _problem(self, error: SluicegateError) -> web.Response:
        request_id = new_request_id()
        self._log.info(
            "http.request",
            request_id=request_id,
            method="-",
            route="-",
            status=error.status,
            code=error.code,
            remote=self.host,
        )
        headers = {**SECURITY, "X-Request-Id": request_id}
        response = problem_response(error, request_id, headers)
        response.force_close()
        return response


def _told(error: BaseException | None) -> SluicegateError:
    """What the parser's error means to a caller."""
    if isinstance(error, LineTooLong):
        return _too_long(bytes(error.args[0]), error.args[1])

    if isinstance(error, HttpProcessingError):
        said = error.message.lower()
        codes = (code for words, code in _SAID_OF if words in said)
        return PermanentError(code=next(codes, "bad_framing"))

    return SluicegateError()


def _too_long(line: bytes, limit: object) -> SluicegateError:
    if limit == _URL_LINE_BYTES:
        sentence = f"The URL is longer than {LIMITS['url_bytes']} bytes."
        return PermanentError(sentence, code="uri_too_long")

    if line[:7].lower() == b"bearer ":
        return PermanentError(code="invalid_credentials")

    sentence = f"A header is longer than {_HEADER_BYTES} bytes."
    return PermanentError(sentence, code="headers_too_large")
