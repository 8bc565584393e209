"""The headers that every answer carries, whoever gives it."""

from __future__ import annotations

from aiohttp import web

from contracts import new_id

REQUEST_ID = web.RequestKey("request_id", str)
"""The id of a request, in the request and in its answer."""

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "sluicegate",
}


def new_request_id() -> str:
    """A fresh id, later than every one before."""
    return new_id("msg").replace("msg_", "req_")


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every answer, just before its headers are sent."""
    response.headers.update(SECURITY)
    response.headers["X-Request-Id"] = request.get(REQUEST_ID) or new_request_id()
