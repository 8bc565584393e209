"""``/runs/{id}/events``: pages, one event, or a stream."""

from __future__ import annotations

from aiohttp import web

from contracts import EVENTS, LIMITS, InvalidInput, NotFound, RunRow, nearest
from gateways.http.call import Call
from gateways.http.problems import json_response
from gateways.http.queries import (
    an_id,
    choice,
    flag,
    integer,
    limit,
    only,
    order,
    text,
)
from gateways.http.run_stream import stream_events
from gateways.http.views import event_view
from gateways.http.waiting import named_run
from store import EventFilter

_FILTERS = ("channel", "types", "node_id", "order", "since_seq")
_CHANNELS = tuple(dict.fromkeys(row.channel for row in EVENTS.values()))


async def listing(call: Call) -> web.StreamResponse:
    """``GET /runs/{id}/events``: JSON pages, or a stream if that is accepted."""
    request = call.request
    streamed = "text/event-stream" in request.headers.get("Accept", "")
    if streamed and request.method == "GET":
        only(request, ("after",))
        return await stream_events(call, await named_run(call))

    only(request, ("limit", "cursor", "include_payload", *_FILTERS))
    return await _page(call, await named_run(call))


async def one(call: Call) -> web.Response:
    """``GET /runs/{id}/events/{event_id}``, with its payload."""
    only(call.request, ())
    row = await named_run(call)
    event_id = an_id(call.path("event_id"), "evt")
    found = await call.door.store.runs.event(row.tenant, row.id, event_id)
    if found is None:
        raise NotFound(f"There is no event {event_id} in this run.")

    return json_response(event_view(found, payload=True), headers=call.headers)


async def _page(call: Call, row: RunRow) -> web.Response:
    request, cursors = call.request, call.door.cursors
    given = (f"{name}={request.query.get(name, '')}" for name in _FILTERS)
    list_ = (row.tenant, request.path, *given)
    since = integer(request, "since_seq", 0, 0, LIMITS["largest_integer"])
    begin = cursors.back(request.query.get("cursor"), list_)
    many = limit(request)
    found = await call.door.store.runs.events(
        row.tenant,
        row.id,
        after=int(begin) if begin else since,
        limit=many + 1,
        where=_where(request),
        order=order(request, "asc"),
    )
    payload = flag(request, "include_payload")
    more = str(found[many - 1].seq) if len(found) > many else None
    body = {
        "items": [event_view(event, payload=payload) for event in found[:many]],
        "next_cursor": cursors.out(more, list_),
    }
    return json_response(body, headers=call.headers)


def _where(request: web.Request) -> EventFilter:
    return EventFilter(
        types=_types(request),
        channel=choice(request, "channel", _CHANNELS),
        node_id=text(request, "node_id"),
    )


def _types(request: web.Request) -> tuple[str, ...]:
    names = tuple(filter(None, request.query.get("types", "").split(",")))
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise InvalidInput(
            f"There is no event type {unknown[0][:64]!r}.{nearest(unknown[0], EVENTS)}"
        )

    return names
