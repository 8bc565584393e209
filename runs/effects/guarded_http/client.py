"""The one way out: a client for calls whose URL, host or answer users influence."""

from __future__ import annotations

import ssl
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
import anyio
from aiohttp.client_middlewares import ClientHandlerType

from contracts import AnswerUnusable, CallRefused
from runs.effects.guarded_http.answers import body_of, head_of
from runs.effects.guarded_http.bodies import ENCODINGS
from runs.effects.guarded_http.calls import (
    Hop,
    HttpAnswer,
    HttpCall,
    Progress,
    first_hop,
    next_hop,
)
from runs.effects.guarded_http.failures import ConnectionFailed, failure, too_late
from runs.effects.guarded_http.policy import HttpPolicy
from runs.effects.guarded_http.resolving import (
    CheckedResolver,
    Lookup,
    admit_target,
    system_lookup,
)

_CONNECTIONS = 256
_CLOSE_S = 5.0
_LONGEST_LINE = 8_190
_MOST_HEADERS = 128


class GuardedHttp:
    """Makes calls under one policy, each at most once.

    Guarantees: a host is resolved once for each connection, every address is
    checked, and only what was checked is connected to, with the host's name in
    Host and SNI; a connection is never used twice and a request never repeated; no
    proxy, no netrc, no cookies. Enter it inside the event loop that makes the calls.
    """

    def __init__(
        self,
        policy: HttpPolicy | None = None,
        *,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy or HttpPolicy()
        self._resolver = CheckedResolver(self._policy, lookup)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = self._opened()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await session.close()

    async def call(
        self, request: HttpCall, progress: Progress | None = None
    ) -> HttpAnswer:
        """The answer, whatever its status; a redirect of a POST is an answer too.

        ``progress`` is kept up to date for a caller that may cancel the call.
        Raises NotSent, SentNoAnswer (timeout, reset), CallRefused, AnswerUnusable.
        """
        progress = progress or Progress()
        began = anyio.current_time()
        with anyio.move_on_after(self._seconds(request)):
            answer = await self._answer(request, progress)
            return replace(answer, elapsed=anyio.current_time() - began)

        raise too_late(progress)

    async def _answer(self, request: HttpCall, progress: Progress) -> HttpAnswer:
        try:
            return await self._follow(first_hop(request), progress)
        except CallRefused as refused:
            refused.sent = progress.sent
            raise

    async def _follow(self, hop: Hop, progress: Progress) -> HttpAnswer:
        for _ in range(self._policy.max_redirects + 1):
            reached = await self._exchange(hop, progress)
            if isinstance(reached, HttpAnswer):
                return reached

            hop = reached

        raise AnswerUnusable(code="too_many_redirects", status=progress.answered)

    async def _exchange(self, hop: Hop, progress: Progress) -> HttpAnswer | Hop:
        admit_target(hop.target, self._policy)
        progress.answered = None
        try:
            return await self._sent_and_read(hop, progress)
        except (aiohttp.ClientError, OSError) as error:
            raise failure(error, progress) from error

    async def _sent_and_read(self, hop: Hop, progress: Progress) -> HttpAnswer | Hop:
        response = await self._send(hop, progress)
        try:
            progress.answered = response.status
            headers = head_of(response, self._policy)
            onward = next_hop(hop, response.status, headers.get("location"))
            return onward or HttpAnswer(
                response.status,
                headers,
                await body_of(response, headers, self._policy),
                str(hop.target.url),
            )
        finally:
            response.close()

    async def _send(self, hop: Hop, progress: Progress) -> aiohttp.ClientResponse:
        assert self._session is not None, "A call is made inside `async with`."
        return await self._session.request(
            hop.method,
            hop.target.url,
            headers=hop.headers,
            data=None if hop.body is None else BytesIO(hop.body),
            allow_redirects=False,
            trace_request_ctx=progress,
        )

    def _opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": ENCODINGS, "User-Agent": "sluicegate"},
            max_field_size=self._policy.max_header_bytes,
            max_headers=_MOST_HEADERS,
            max_line_size=_LONGEST_LINE,
            middlewares=(_send_once,),
            timeout=aiohttp.ClientTimeout(),
            trace_configs=[_tracing()],
            trust_env=False,
        )

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            force_close=True,
            limit=_CONNECTIONS,
            resolver=self._resolver,
            ssl=self._tls or True,
            use_dns_cache=False,
        )

    def _seconds(self, request: HttpCall) -> float:
        given = request.timeout_s
        return self._policy.timeout_s if given is None else given


async def _send_once(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET, PUT or DELETE again when a connection broke."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionFailed(str(error)) from error


def _tracing() -> aiohttp.TraceConfig:
    """Tells the call's Progress of the last moment before bytes are written."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_on_sending)
    return tracing


async def _on_sending(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True
