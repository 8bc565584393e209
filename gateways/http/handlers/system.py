"""Health, version, limits, workers, bus and ledger."""

from __future__ import annotations

import anyio
from aiohttp import web
from prometheus_client import generate_latest

from contracts import LIMITS, JsonObject, StoreUnavailable, later
from gateways.http.call import Call, Door
from gateways.http.problems import json_response
from gateways.http.queries import integer, limit, only
from gateways.http.views import ledger_view

_ALIVE_S = 30.0
_READY_S = 2.0


async def healthz(_: Door) -> web.Response:
    """``GET /healthz``: this process lives."""
    return json_response({"status": "ok"})


async def readyz(door: Door) -> web.Response:
    """``GET /readyz``: each dependency, and whether all of them answer."""
    dependencies = {"store": await _store(door), "bus": _bus(door)}
    if door.closing.is_set():
        dependencies["process"] = "stopping"

    ready = all(state == "ok" for state in dependencies.values())
    body = {"status": "ok" if ready else "unavailable", "dependencies": dependencies}
    return json_response(body, 200 if ready else 503)


async def metrics(_: Door) -> web.Response:
    """``GET /metrics``: Prometheus."""
    return web.Response(
        body=generate_latest(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def version(call: Call) -> web.Response:
    """``GET /version``."""
    only(call.request, ())
    body = {"name": "sluicegate", "version": call.door.version, "api": "v1"}
    return json_response(body, headers=call.headers)


async def limits(call: Call) -> web.Response:
    """``GET /system/limits``: every limit by its name."""
    only(call.request, ())
    return json_response(LIMITS, headers=call.headers)


async def worker(call: Call) -> web.Response:
    """``GET /system/worker``: workers alive, and the open runs."""
    only(call.request, ())
    alive = await call.door.store.workers.alive(later(call.door.at(), -_ALIVE_S))
    counts = await call.door.store.runs.open_counts(call.tenant)
    backlog = call.door.bus.backlog()
    body = {
        "workers": [one.plain() for one in alive],
        "runs": {n: counts.get(n, 0) for n in ("queued", "running", "paused")},
        "lag": backlog.get("run_ready/worker", 0),
    }
    return json_response(body, headers=call.headers)


async def bus(call: Call) -> web.Response:
    """``GET /system/bus``: what lies on the bus, and the dead letters."""
    only(call.request, ())
    dead = await call.door.bus.dead_letters()
    body = {
        "pending": call.door.bus.backlog(),
        "dead_letters": [
            one.model_dump(mode="json", exclude={"original"}) for one in dead
        ],
    }
    return json_response(body, headers=call.headers)


async def ledger(call: Call) -> web.Response:
    """``GET /ledger``: the chain of the tenant, oldest first."""
    only(call.request, ("limit", "cursor", "after"))
    listing = (call.tenant, call.request.path, call.request.query.get("after", ""))
    begin = call.door.cursors.back(call.request.query.get("cursor"), listing)
    after = int(begin) if begin else integer(call.request, "after", 0, 0, 2**53)
    many = limit(call.request)
    entries = await call.door.store.ledger.page(call.tenant, limit=many, after=after)
    head = await call.door.store.ledger.head(call.tenant)
    signed = await call.door.store.ledger.signed_head(call.tenant)
    more = str(entries[-1].n) if len(entries) == many else None
    body: JsonObject = {
        "items": [ledger_view(entry) for entry in entries],
        "next_cursor": call.door.cursors.out(more, listing),
        "head": {"n": head.n, "hash": head.hash} if head is not None else None,
        "signed_head": signed.plain() if signed is not None else None,
    }
    return json_response(body, headers=call.headers)


async def _store(door: Door) -> str:
    state = "unavailable"
    with anyio.move_on_after(_READY_S):
        try:
            await door.store.ping()
            state = "ok"
        except StoreUnavailable as error:
            state = f"unavailable: {error.message}"

    return state


def _bus(door: Door) -> str:
    return "ok" if door.bus.backlog() is not None else "unavailable"
