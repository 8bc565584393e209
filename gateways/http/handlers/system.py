"""Health, version, limits, workers, bus and ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import anyio
from aiohttp import web
from prometheus_client import generate_latest

from bus import GroupState
from contracts import LIMITS, JsonObject, TemporaryError, later
from gateways.http.call import Call, Door
from gateways.http.problems import json_response
from gateways.http.queries import integer, limit, only
from gateways.http.views import dead_letter_view, ledger_view

_ALIVE_S = 30.0
_READY_S = 2.0

_Name = tuple[str, str, str]


async def healthz(_: Door) -> web.Response:
    """``GET /healthz``: this process lives."""
    return json_response({"status": "ok"})


async def readyz(door: Door) -> web.Response:
    """``GET /readyz``: each dependency, and whether all of them answer."""
    dependencies = {
        "store": await _state(door.store.ping),
        "bus": await _state(door.bus.ping),
    }
    if door.leaving.is_set():
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
    """``GET /system/worker``: the processes alive, and the open runs."""
    only(call.request, ())
    alive = await call.door.store.workers.alive(later(call.door.at(), -_ALIVE_S))
    counts = await call.door.store.runs.open_counts(call.tenant)
    ready = (await call.door.bus.groups()).get("run_ready/worker")
    body = {
        "workers": [one.plain() for one in alive if "worker" in one.roles],
        "processes": [one.plain() for one in alive],
        "runs": {n: counts.get(n, 0) for n in ("queued", "running", "paused")},
        "lag": ready.waiting + ready.pending if ready is not None else 0,
    }
    return json_response(body, headers=call.headers)


async def bus(call: Call) -> web.Response:
    """``GET /system/bus``: what lies in each stream, and the latest dead letters."""
    only(call.request, ())
    groups = await call.door.bus.groups()
    dead = await call.door.bus.dead_letters()
    body = {
        "streams": [
            {"kind": kind, "group": group, **state.plain()}
            for (kind, _, group), state in _by_name(groups)
        ],
        "pending": {n: one.waiting + one.pending for n, one in groups.items()},
        "dead_letters": [dead_letter_view(one) for one in dead],
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


def _by_name(groups: dict[str, GroupState]) -> Iterator[tuple[_Name, GroupState]]:
    """The groups with their ``kind/group`` taken apart, in order."""
    return ((name.partition("/"), groups[name]) for name in sorted(groups))


async def _state(ping: Callable[[], Awaitable[None]]) -> str:
    """What is told of a dependency."""
    with anyio.move_on_after(_READY_S):
        try:
            await ping()
        except TemporaryError as error:
            return f"unavailable: {error.message}"

        return "ok"

    return "unavailable"
