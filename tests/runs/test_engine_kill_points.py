"""The whole service, killed at named points of a run, and started again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contracts import JsonObject
from tests.support.api import Api, open_api
from tests.support.definitions import call, end, start, workflow
from tests.support.http_sink import HttpSink, answer
from tests.support.polling import until
from tests.support.service import ServiceProcess

pytestmark = pytest.mark.timeout(60)

_WITHIN_S = 10.0


def _tool(url: str, effect: str) -> JsonObject:
    return {
        "name": "book",
        "kind": "http",
        "effect": effect,
        "http": {
            "url": url,
            "body": {"who": "${input.who}"},
            "idempotency_header": "Idempotency-Key",
        },
    }


BOOK = workflow(
    "book",
    start(),
    call("act", "book", input={"who": "${start.name}"}),
    end(done=True),
    edges="start act, act end",
)


@pytest.mark.parametrize(
    ("point", "effect", "fate"),
    [
        ("B9", "idempotent", "completed"),
        ("B10", "idempotent", "completed"),
        ("B11", "idempotent", "completed"),
        ("B12", "idempotent", "completed"),
        ("B13", "idempotent", "completed"),
        ("B14", "idempotent", "completed"),
        ("B10", "non_idempotent", "needs_attention"),
        ("B11", "non_idempotent", "needs_attention"),
        ("B13", "non_idempotent", "completed"),
    ],
)
async def test_a_run_killed_at_a_point_goes_on_as_its_effect_allows(
    tmp_path: Path, point: str, effect: str, fate: str
) -> None:
    private = {"TOOLS__HTTP__ALLOW_PRIVATE": '["127.0.0.1"]'}
    dying = ServiceProcess(tmp_path, FAILPOINT=f"{point}:kill", **private)
    async with HttpSink() as sink:
        url = sink.script("/book", answer(200, b"{}"))
        await dying.start()
        await dying.ready()
        async with open_api(dying.url, dying.key) as api:
            await api.post("/tools", _tool(url, effect))
            await api.post("/workflows", BOOK)
            await _lose(api)

        run = await _after_restart(dying)

    keys = {(each.headers["idempotency-key"], each.body) for each in sink.requests}

    assert fate == (run["paused_reason"] or run["status"])
    assert len(keys) <= 1
    assert effect == "idempotent" or len(sink.requests) <= 1
    assert fate != "completed" or len(sink.requests) >= 1


async def _lose(api: Api) -> None:
    """Start a run; the service dies of it, sooner or later."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        await api.run("book", {"name": "Ada"}, timeout_s=5)


async def _after_restart(service: ServiceProcess) -> dict[str, Any]:
    await service.kill()
    del service._environment["SLUICEGATE_FAILPOINT"]
    await service.start()
    await service.ready()
    try:
        async with open_api(service.url, service.key) as api:
            assert await until(lambda: _rests(api), within_s=_WITHIN_S)
            run: dict[str, Any] = (await api.get("/runs"))["items"][0]
            return run
    finally:
        await service.kill()


async def _rests(api: Api) -> bool:
    """Whether the one run has ended, or waits for a person."""
    runs = (await api.get("/runs"))["items"]
    return bool(runs) and (
        runs[0]["status"] in ("completed", "failed")
        or runs[0]["paused_reason"] == "needs_attention"
    )
