"""``/keys`` and ``/freeze``: who may come in, and what stands still."""

from __future__ import annotations

from aiohttp import web

from contracts import JsonObject, KeyRow
from contracts.action_args import CreateKey, Freeze
from gateways.http.answering import plainly
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, decide
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed
from gateways.http.queries import an_id, only, text
from gateways.http.views import key_view
from store import Page


async def create(call: Call) -> web.Response:
    """``POST /keys``: 201 with the key, shown once."""
    only(call.request, WAITS)
    body = await read_body(call.request, CreateKey)
    return await decide(call, Proposed("key.create", body.plain()), plainly(201))


async def listing(call: Call) -> web.Response:
    """``GET /keys``, newest first."""

    async def fetch(limit: int, after: str | None) -> Page[KeyRow]:
        return await call.door.store.keys.page(call.tenant, limit=limit, after=after)

    return await page_response(call, fetch, key_view)


async def revoke(call: Call) -> web.Response:
    """``DELETE /keys/{id}``."""
    only(call.request, WAITS)
    args = {"id": an_id(call.path("id"), "key")}
    return await decide(call, Proposed("key.revoke", args), plainly(200))


async def frozen(call: Call) -> web.Response:
    """``GET /freeze``: everything that stands still."""
    only(call.request, ())
    rows = await call.door.store.freezes.of(call.tenant)
    items = [row.model_dump(mode="json", exclude={"tenant"}) for row in rows]
    return json_response({"items": items, "next_cursor": None}, headers=call.headers)


async def freeze(call: Call) -> web.Response:
    """``PUT /freeze``: from now on it stands still."""
    only(call.request, WAITS)
    body = await read_body(call.request, Freeze)
    return await decide(call, Proposed("freeze.set", body.plain()), plainly(200))


async def thaw(call: Call) -> web.Response:
    """``DELETE /freeze?scope=&name=``."""
    only(call.request, (*WAITS, "scope", "name"))
    args: JsonObject = {
        "scope": text(call.request, "scope") or "tenant",
        "name": text(call.request, "name"),
    }
    return await decide(call, Proposed("freeze.clear", args), plainly(200))
