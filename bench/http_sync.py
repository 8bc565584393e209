"""A synchronous run over HTTP, beside a bare aiohttp handler asked the same way."""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median, quantiles

import aiohttp
from aiohttp import web

from bench.definitions import PURE
from bench.report import report
from bench.served import Served, served

_CONNECTIONS = 32
_REQUESTS = 4_000
_BODY = json.dumps({"workflow": "bench-pure", "input": {"name": "Ada"}, "wait": True})


async def measure() -> None:
    """Print requests per second and their times, for both."""
    bare = await _bare()
    async with served() as service:
        await _save(service)
        await _load(service.url + "/api/v1/runs", service.key, _REQUESTS // 10)
        times, seconds = await _load(
            service.url + "/api/v1/runs", service.key, _REQUESTS
        )

    rate = _REQUESTS / seconds
    _report("gated durable run, three pure nodes", times, rate)
    report("http sync", "share of the bare handler", rate / bare, "ratio")


async def _bare() -> float:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application()
    app.router.add_post("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        times, seconds = await _load(f"http://127.0.0.1:{port}/", "", _REQUESTS)
    finally:
        await runner.cleanup()

    _report("bare aiohttp handler, in the client's process", times, _REQUESTS / seconds)
    return _REQUESTS / seconds


async def _save(service: Served) -> None:
    async with aiohttp.ClientSession(headers=_headers(service.key)) as session:
        url = service.url + "/api/v1/workflows"
        async with session.post(url, json=PURE) as answer:
            answer.raise_for_status()


async def _load(url: str, key: str, requests: int) -> tuple[list[float], float]:
    """The time of each request in seconds, and of all of them together."""
    times: list[float] = []
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, headers=_headers(key)
    ) as session:

        async def caller() -> None:
            for _ in range(requests // _CONNECTIONS):
                began = time.perf_counter()
                async with session.post(url, data=_BODY) as answer:
                    await answer.read()
                    answer.raise_for_status()

                times.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(_CONNECTIONS)))
        return times, time.perf_counter() - began


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _report(case: str, times: list[float], rate: float) -> None:
    ms = [seconds * 1_000 for seconds in times]
    report(
        "http sync",
        case,
        rate,
        "per second",
        p50_ms=median(ms),
        p99_ms=quantiles(ms, n=100)[98],
    )
