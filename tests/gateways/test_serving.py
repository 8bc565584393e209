"""Listening: where it may, and to a quick and clean end."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from contracts import ConfigurationError, StoreUnavailable
from gateways.http import serve_http
from tests.support.api import Answer
from tests.support.doorway import Doorway, only_approved, open_doorway
from tests.support.polling import until
from tests.support.stored import append, run

QUICK_S = 1.0
DECISION = {"action": "workflow.run", "args": {"workflow": "greet"}}


async def test_an_address_in_use_is_named(doorway: Doorway) -> None:
    with pytest.raises(ConfigurationError) as refused:
        async with serve_http(doorway.door, "127.0.0.1", doorway.port):
            pass

    assert f"127.0.0.1:{doorway.port}" in refused.value.message
    assert "server.port" in refused.value.message


async def test_a_stop_waits_for_no_reader_of_a_stream() -> None:
    async with open_doorway() as doorway, anyio.create_task_group() as readers:
        row, _ = await doorway.store.runs.create(run())
        await doorway.store.runs.append(
            "default", row.id, append(row, 1, "run_created")
        )
        bodies: list[bytes] = []

        async def read() -> None:
            async with doorway.api.stream(f"/runs/{row.id}/events") as response:
                bodies.append(await response.read())

        for _ in range(5):
            readers.start_soon(read)

        assert await until(lambda: _are_reading(doorway, 5))
        began = time.monotonic()
        doorway.door.closing.set()

    assert time.monotonic() - began < QUICK_S
    assert [b"draining" in body for body in bodies] == [True] * 5


async def test_a_stop_waits_for_nobody_who_waits_for_an_outcome() -> None:
    answers: list[Answer] = []
    async with (
        open_doorway(only_approved, gate_deadline_s=0.1) as doorway,
        anyio.create_task_group() as waiting,
    ):

        async def wait() -> None:
            path = "/decisions?timeout_s=60"
            answers.append(await doorway.api.call("POST", path, DECISION))

        waiting.start_soon(wait)
        assert await until(lambda: _was_asked(doorway))
        began = time.monotonic()
        doorway.door.closing.set()

    assert time.monotonic() - began < QUICK_S
    assert (answers[0].status, answers[0].body["state"]) == (202, "approved")


async def test_a_stop_closes_connections_that_idle() -> None:
    async with open_doorway() as doorway:
        idle = await anyio.connect_tcp("127.0.0.1", doorway.port)
        await idle.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await idle.receive()
        began = time.monotonic()

    assert time.monotonic() - began < QUICK_S
    with pytest.raises(anyio.EndOfStream):
        await idle.receive()

    await idle.aclose()


async def test_a_service_that_stops_is_alive_and_not_ready(doorway: Doorway) -> None:
    doorway.door.leaving.set()

    alive = await doorway.api.call("GET", "/../../healthz")
    ready = await doorway.api.call("GET", "/../../readyz")

    assert (alive.status, ready.status) == (200, 503)
    assert ready.body["dependencies"]["process"] == "stopping"


async def test_a_store_that_does_not_answer_is_named_by_readiness(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down() -> Any:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(doorway.store, "ping", down)

    alive = await doorway.api.call("GET", "/../../healthz")
    ready = await doorway.api.call("GET", "/../../readyz")

    assert (alive.status, ready.status) == (200, 503)
    assert ready.body["dependencies"]["store"] == "unavailable: The disk is full."
    assert ready.body["dependencies"]["bus"] == "ok"


async def _are_reading(doorway: Doorway, number: int) -> bool:
    return sum(doorway.door.streams.values()) == number


async def _was_asked(doorway: Doorway) -> bool:
    return bool(doorway.gate.asked)
