"""Reading an answer that may be hostile: what is malformed or too big is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial

import aiohttp

from contracts import AnswerUnusable
from runs.effects.guarded_http.bodies import Body
from runs.effects.guarded_http.failures import ConnectionFailed
from runs.effects.guarded_http.policy import HttpPolicy

_DELIMITING = {"content-length", "transfer-encoding"}
_FINAL = range(200, 600)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def head_of(response: aiohttp.ClientResponse, policy: HttpPolicy) -> dict[str, str]:
    """The headers, names in lower case, repeated ones joined by a comma.

    Raises AnswerUnusable: upstream_invalid.
    """
    raw = response.raw_headers
    size = sum(len(name) + len(value) for name, value in raw)
    malformed = any(_CONTROL.search(value) for _, value in raw)
    if size > policy.max_header_bytes or malformed or response.status not in _FINAL:
        raise AnswerUnusable(status=response.status)

    headers: dict[str, list[str]] = {}
    for name, value in raw:
        headers.setdefault(_text(name).lower(), []).append(_text(value))

    return {name: ", ".join(values) for name, values in headers.items()}


async def body_of(
    response: aiohttp.ClientResponse, headers: Mapping[str, str], policy: HttpPolicy
) -> bytes:
    """The decoded body. Raises AnswerUnusable as Body does."""
    body = Body(
        headers.get("content-encoding", ""),
        limit=policy.max_response_bytes,
        status=response.status,
    )
    _end_with_connection(response)
    while piece := await response.content.readany():
        body.add(piece)

    broken = response.content.exception()
    if broken:
        raise broken

    return body.whole()


def _end_with_connection(response: aiohttp.ClientResponse) -> None:
    """See to it that the body ends, and ends badly, when its connection does.

    aiohttp leaves the reader waiting after a malformed later chunk, and takes a
    reset for the end of a body that only the end of the connection delimits.
    """
    connection = response.connection
    protocol = connection.protocol if connection else None
    closed = protocol.closed if protocol is not None else None
    if closed:
        closed.add_done_callback(partial(_on_closed, response))


def _on_closed(response: aiohttp.ClientResponse, closed: asyncio.Future[None]) -> None:
    reset = closed.exception()
    content = response.content
    if content.exception():
        return

    if not content.is_eof():
        content.set_exception(AnswerUnusable(status=response.status))
    elif reset and not _DELIMITING & {name.lower() for name in response.headers}:
        content.set_exception(ConnectionFailed(str(reset)))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
