"""Answering with one page of a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from contracts import JsonObject
from gateways.http.call import Call
from gateways.http.problems import json_response
from gateways.http.queries import limit, only
from store import Page

T = TypeVar("T")

_PAGING = ("limit", "cursor")


async def page_response(
    call: Call,
    fetch: Callable[[int, str | None], Awaitable[Page[T]]],
    view: Callable[[T], JsonObject],
    *,
    filters: tuple[str, ...] = (),
) -> web.Response:
    """One page: ``fetch`` gets the limit and where the page begins.

    ``filters`` are the further query parameters of the list; a cursor is bound to
    their values. Raises ``unknown_parameter``, ``invalid_cursor``.
    """
    only(call.request, (*_PAGING, *filters))
    listing = _listing(call, filters)
    cursors = call.door.cursors
    after = cursors.back(call.request.query.get("cursor"), listing)
    page = await fetch(limit(call.request), after)
    body = {
        "items": [view(item) for item in page.items],
        "next_cursor": cursors.out(page.next, listing),
    }
    return json_response(body, headers=call.headers)


def _listing(call: Call, filters: tuple[str, ...]) -> tuple[str, ...]:
    given = (f"{name}={call.request.query.get(name, '')}" for name in filters)
    return (call.tenant, call.request.path, *given)
