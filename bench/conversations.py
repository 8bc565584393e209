"""Turns with a model that takes a second: one alone, and two hundred at once."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from bench.process import resident_mb
from bench.report import report
from bench.served import Served, served

_ALONE = 5
_AT_ONCE = 200
_IDLE = 1_000
_SCRIPT = {"lines": [{"then": {"text": "Yes.", "delay_s": 1.0}}]}


async def measure() -> None:
    """Print the time of a turn, and the memory of a conversation that rests."""
    with tempfile.TemporaryDirectory() as folder:
        script = _written(Path(folder, "script.json"))
        os.environ["SLUICEGATE_LLM__PROVIDER"] = "scripted"
        os.environ["SLUICEGATE_LLM__SCRIPT"] = str(script)
        try:
            async with served() as service, _session(service) as session:
                await _turns(session)
                await _memory(session, service.pid)
        finally:
            del os.environ["SLUICEGATE_LLM__PROVIDER"]
            del os.environ["SLUICEGATE_LLM__SCRIPT"]


def _written(script: Path) -> Path:
    script.write_text(json.dumps(_SCRIPT), encoding="utf-8")
    return script


def _session(service: Served) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        service.url,
        headers={"Authorization": f"Bearer {service.key}"},
        connector=aiohttp.TCPConnector(limit=_AT_ONCE),
    )


async def _turns(session: aiohttp.ClientSession) -> None:
    alone = [await _turn(session, await _begin(session), "Hi") for _ in range(_ALONE)]
    each = [await _begin(session) for _ in range(_AT_ONCE)]
    crowd = await asyncio.gather(*(_turn(session, one, "Hi") for one in each))
    last = quantiles(crowd, n=100)[98]
    one = median(alone)
    report("conversations", "a turn alone", one, "seconds")
    report(
        "conversations",
        f"{_AT_ONCE} turns at once",
        median(crowd),
        "seconds",
        p99=last,
        p50_to_alone=median(crowd) / one,
        p99_to_alone=last / one,
    )


async def _memory(session: aiohttp.ClientSession, pid: int) -> None:
    """What conversations take that were held once and rest."""
    before = resident_mb(pid)
    for _ in range(_IDLE):
        await _turn(session, await _begin(session), "/help")

    grown = (resident_mb(pid) - before) * 1_024
    report("conversations", "memory of an idle one", grown / _IDLE, "KB")


async def _begin(session: aiohttp.ClientSession) -> str:
    async with session.post("/api/v1/conversations", json={}) as answer:
        return str((await answer.json())["id"])


async def _turn(session: aiohttp.ClientSession, id_: str, text: str) -> float:
    """How long a reply took, in seconds."""
    began = time.perf_counter()
    path = f"/api/v1/conversations/{id_}/messages"
    async with session.post(path, json={"text": text}) as answer:
        body = await answer.json()

    if answer.status != 200:
        raise RuntimeError(f"a turn was not answered: {answer.status} {body}")

    return time.perf_counter() - began
