"""``/keys`` and ``/freeze``: who may come in, and what stands still."""

from __future__ import annotations

from aiohttp import web

from contracts import JsonObject
from contracts.action_args import CreateKey, Freeze
from gateways.http.answering import respond
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed, propose
from gateways.http.queries import an_id, only
from gateways.http.views import key_view


async def create(call: Call) -> web.Response:
    """``POST /keys``: 201 with the key, shown once."""
    only(call.request, ())
    body = await read_body(call.request, CreateKey)
    proposed = Proposed("key.create", body.plain())
    answer, _ = await propose_once(call, proposed)
    return respond(call, answer, lambda result: (201, result))


async def listing(call: Call) -> web.Response:
    """``GET /keys``, newest first."""

    async def fetch(limit: int, after: str | None):  # type: ignore[no-untyped-def]
        return await call.door.store.keys.page(call.tenant, limit=limit, after=after)

    return await page_response(call, fetch, key_view)


async def revoke(call: Call) -> web.Response:
    """``DELETE /keys/{id}``."""
    only(call.request, ())
    key_id = an_id(call.path("id"), "key")
    answer = await propose(call, Proposed("key.revoke", {"id": key_id}))
    return respond(call, answer, lambda result: (200, result))


async def frozen(call: Call) -> web.Response:
    """``GET /freeze``: everything that stands still."""
    only(call.request, ())
    rows = await call.door.store.freezes.of(call.tenant)
    items = [row.model_dump(mode="json", exclude={"tenant"}) for row in rows]
    return json_response({"items": items, "next_cursor": None}, headers=call.headers)


async def freeze(call: Call) -> web.Response:
    """``PUT /freeze``."""
    only(call.request, ())
    body = await read_body(call.request, Freeze)
    return await _freeze(call, Proposed("freeze.set", body.plain()))


async def thaw(call: Call) -> web.Response:
    """``DELETE /freeze?scope=&name=``."""
    only(call.request, ("scope", "name"))
    query = call.request.query
    args: JsonObject = {
        "scope": query.get("scope", "tenant"),
        "name": query.get("name"),
    }
    return await _freeze(call, Proposed("freeze.clear", args))


async def _freeze(call: Call, proposed: Proposed) -> web.Response:
    answer = await propose(call, proposed)
    return respond(call, answer, lambda result: (200, result))
