"""Turns with a model that takes a second: one alone, and two hundred at once.

At once is twofold: two hundred conversations that go on turn by turn, begun within a
second, and two hundred turns that begin at the same instant.
"""

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
_ROUNDS = 4
"""Turns of each conversation that goes on."""

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
                await _memory(session, service.pid)
                await _turns(session)
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
    alone = median(
        [await _turn(session, await _begin(session), "Hi") for _ in range(_ALONE)]
    )
    report("conversations", "a turn alone", alone, "seconds")
    going_on = await _talks(session, rounds=_ROUNDS, within_s=1.0)
    _report(f"{_AT_ONCE} conversations at once", going_on, alone)
    instant = await _talks(session, rounds=1, within_s=0.0)
    _report(f"{_AT_ONCE} turns at the same instant", instant, alone)


async def _talks(
    session: aiohttp.ClientSession, *, rounds: int, within_s: float
) -> list[float]:
    """The times of all turns of conversations that are begun within so long."""
    ids = [await _begin(session) for _ in range(_AT_ONCE)]

    async def talk(n: int, id_: str) -> list[float]:
        await asyncio.sleep(within_s * n / _AT_ONCE)
        return [await _turn(session, id_, "Hi") for _ in range(rounds)]

    each = await asyncio.gather(*(talk(n, id_) for n, id_ in enumerate(ids)))
    return [one for times in each for one in times]


def _report(case: str, times: list[float], alone: float) -> None:
    last = quantiles(times, n=100)[98]
    report(
        "conversations",
        case,
        median(times),
        "seconds",
        p99=last,
        p50_to_alone=median(times) / alone,
        p99_to_alone=last / alone,
    )


async def _memory(session: aiohttp.ClientSession, pid: int) -> None:
    """What conversations take that were held once and rest.

    The first ones fill the caches, which are bounded.
    """
    await _held_once(session)
    before = resident_mb(pid)
    await _held_once(session)
    grown = (resident_mb(pid) - before) * 1_024
    report("conversations", "memory of an idle one", grown / _IDLE, "KB")


async def _held_once(session: aiohttp.ClientSession) -> None:
    for _ in range(_IDLE):
        await _turn(session, await _begin(session), "/help")


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
