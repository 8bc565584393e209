"""Event streams at the door: how they begin, beat, and end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest

from contracts import LIMITS, RunEvent, RunRow
from tests.support.api import Api
from tests.support.doorway import TENANT, Doorway, open_doorway, tell
from tests.support.polling import until
from tests.support.stored import append, ended, run

PATIENCE_S = 5.0
BEGINNING = ("run_created", "run_claimed", "run_started")


class Said(NamedTuple):
    """One server-sent event; a comment has neither event nor data."""

    id: str = ""
    event: str = ""
    data: Any = None
    comment: str = ""


class Running:
    """A run whose log a test writes."""

    def __init__(self, doorway: Doorway, row: RunRow) -> None:
        self._doorway = doorway
        self._seq = 0
        self.row = row

    @property
    def path(self) -> str:
        """The route of its events."""
        return f"/runs/{self.row.id}/events"

    async def append(self, *types: Any, told: bool = True, **more: Any) -> None:
        """Write events, and tell them as the engine does."""
        given = append(self.row, self._seq + 1, *types, **more)
        await self._doorway.store.runs.append(TENANT, self.row.id, given)
        self._seq += len(types)
        for event in given.events if told else ():
            self.tell(event)

    def tell(self, event: RunEvent) -> None:
        """Broadcast an event."""
        tell(self._doorway, self.row, event)

    async def end(self) -> None:
        """Write the terminal event."""
        await self.append("workflow_complete", state=ended(self._seq + 1))


@pytest.fixture
async def running(doorway: Doorway) -> Running:
    """A run that was just started."""
    return await begun(doorway)


async def begun(doorway: Doorway) -> Running:
    """A run that was just started."""
    row, _ = await doorway.store.runs.create(run())
    running = Running(doorway, row)
    await running.append(*BEGINNING)
    return running


@asynccontextmanager
async def heard(
    api: Api, path: str, **headers: str
) -> AsyncIterator[tuple[aiohttp.ClientResponse, AsyncIterator[Said]]]:
    """A stream and what it says."""
    async with api.stream(path, headers) as response:
        yield response, _parsed(response)


async def _parsed(response: aiohttp.ClientResponse) -> AsyncIterator[Said]:
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\r\n")
        if line.startswith(":"):
            yield Said(comment=line[1:].strip())
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            data = json.loads(fields["data"])
            yield Said(fields.get("id", ""), fields.get("event", ""), data)
            fields = {}


async def take(said_: AsyncIterator[Said], number: int) -> list[Said]:
    """So many events, comments left out."""
    found: list[Said] = []
    with anyio.fail_after(PATIENCE_S):
        while len(found) < number:
            one = await anext(said_)
            if not one.comment:
                found.append(one)

    return found


async def rest(said_: AsyncIterator[Said]) -> list[Said]:
    """Everything to the end of the stream, comments left out."""
    with anyio.fail_after(PATIENCE_S):
        return [one async for one in said_ if not one.comment]


async def test_what_was_not_told_live_is_found_in_the_store(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        await running.append("node_start", told=False)
        await running.append("node_complete")
        await running.end()
        found = await rest(said_)

    assert [one.id for one in found] == ["4", "5", "6", ""]
    assert found[-1].event == "end"


async def test_what_is_told_twice_is_sent_once(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        (first,) = await doorway.store.runs.events(TENANT, running.row.id, limit=1)
        running.tell(first)
        await running.end()
        found = await rest(said_)

    assert [one.id for one in found] == ["4", ""]


async def test_an_event_of_another_run_is_not_sent_wherever_it_is_told(
    doorway: Doorway, running: Running
) -> None:
    other = await begun(doorway)
    await other.append("node_start", told=False)
    (foreign,) = await doorway.store.runs.events(
        TENANT, other.row.id, limit=1, order="desc"
    )
    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        running.tell(foreign)
        await running.append("node_complete")
        await running.end()
        found = await rest(said_)

    assert [one.event for one in found] == ["node_complete", "workflow_complete", "end"]


async def test_an_event_says_all_of_itself_on_one_line(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (_, said_):
        (first,) = await take(said_, 1)

    assert (first.id, first.event) == ("1", "run_created")
    assert first.data["type"] == "run.event"
    assert first.data["event"]["payload"] == {"input": {"name": "Ada"}}


async def test_the_query_says_where_to_begin_too(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, f"{running.path}?after=2") as (_, said_):
        (first,) = await take(said_, 1)

    assert first.id == "3"


@pytest.mark.parametrize(
    ("last", "status", "code"),
    [
        ("4", 400, "last_event_id_ahead"),
        ("9" * 15, 400, "last_event_id_ahead"),
        ("9" * 16, 422, "not_an_integer"),
        ("1.0", 422, "not_an_integer"),
        ("\u0661", 422, "not_an_integer"),
    ],
)
async def test_a_last_event_id_that_is_not_ours_is_refused(
    doorway: Doorway, running: Running, last: str, status: int, code: str
) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}

    answer = await doorway.api.call("GET", running.path, headers=headers)

    assert (answer.status, answer.code) == (status, code)


async def test_a_stream_carries_the_headers_that_proxies_heed(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (response, _):
        headers = response.headers

    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-Id"].startswith("req_")


async def test_a_quiet_stream_beats(
    doorway: Doorway, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.http.run_stream.HEARTBEAT_S", 0.01)

    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        with anyio.fail_after(PATIENCE_S):
            beat = await anext(said_)

    assert beat.comment == "ping"


async def test_a_head_of_a_stream_is_the_head_of_its_page(
    doorway: Doorway, running: Running
) -> None:
    headers = {"Accept": "text/event-stream"}

    answer = await doorway.api.call("HEAD", running.path, headers=headers)

    assert (answer.status, answer.body) == (200, b"")


async def test_a_key_has_so_many_streams_and_no_more(
    doorway: Doorway, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "sse_streams_per_key", 2)
    grace = await doorway.holder("grace", "viewer")
    accept = {"Accept": "text/event-stream"}

    async with heard(doorway.api, running.path), heard(doorway.api, running.path):
        refused = await doorway.api.call("GET", running.path, headers=accept)
        async with heard(grace, running.path) as (response, _):
            assert response.status == 200

    assert (refused.status, refused.code) == (429, "too_many_streams")
    assert refused.headers["Retry-After"] == "1"
    assert await until(lambda: _is_quiet(doorway))


async def test_a_stream_ends_with_the_key_that_opened_it(
    doorway: Doorway, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.http.streams.HEARTBEAT_S", 0.01)
    monkeypatch.setattr("gateways.http.run_stream._LOOK_AGAIN_S", 0.1)
    eve = await doorway.holder("eve", "viewer")
    (key, *_) = (await doorway.store.keys.page(TENANT, limit=1)).items

    async with heard(eve, running.path) as (_, said_):
        await take(said_, 3)
        await doorway.store.keys.revoke(TENANT, key.id, doorway.door.at())
        (last,) = await rest(said_)

    assert (last.event, last.data["code"]) == ("error", "invalid_credentials")


async def test_a_busy_stream_ends_with_its_key_as_well(
    doorway: Doorway, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.http.streams.HEARTBEAT_S", 0.01)
    eve = await doorway.holder("eve", "viewer")
    (key, *_) = (await doorway.store.keys.page(TENANT, limit=1)).items

    async with anyio.create_task_group() as tasks:
        async with heard(eve, running.path) as (_, said_):
            await take(said_, 3)
            tasks.start_soon(_chatter, running)
            await doorway.store.keys.revoke(TENANT, key.id, doorway.door.at())
            found = await rest(said_)

        tasks.cancel_scope.cancel()

    assert found[-1].event == "error"
    assert found[-1].data["code"] == "invalid_credentials"


async def test_a_reader_who_fell_behind_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LIMITS, "sse_buffered_events", 2)
    async with open_doorway() as doorway:
        running = await begun(doorway)
        async with heard(doorway.api, running.path) as (_, said_):
            await take(said_, 3)
            await running.append("node_start", "node_complete", "node_start")
            found = await rest(said_)

    assert found[-1].event == "overflow"
    assert found[-1].data["code"] == "bus_backlog"
    assert "Last-Event-ID" in found[-1].data["detail"]
    assert [one.id for one in found[:-1]] == ["4", "5"]


async def test_a_stream_ends_at_once_when_the_service_stops(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        doorway.door.closing.set()
        (last,) = await rest(said_)

    assert (last.event, last.data["code"]) == ("error", "draining")


async def test_no_stream_begins_once_the_service_stops(
    doorway: Doorway, running: Running
) -> None:
    doorway.door.closing.set()
    accept = {"Accept": "text/event-stream"}

    answer = await doorway.api.call("GET", running.path, headers=accept)

    assert (answer.status, answer.code) == (503, "draining")


async def test_a_reader_who_left_is_forgotten_at_once(
    doorway: Doorway, running: Running
) -> None:
    async with heard(doorway.api, running.path) as (_, said_):
        await take(said_, 3)
        assert sum(doorway.door.streams.values()) == 1

    assert await until(lambda: _is_quiet(doorway))


async def _is_quiet(doorway: Doorway) -> bool:
    return not doorway.door.streams


async def _chatter(running: Running) -> None:
    """Events without a pause."""
    while True:
        await running.append("node_start", "node_complete")
        await anyio.sleep(0.001)


async def test_a_stream_is_over_by_the_log_though_the_row_does_not_tell_yet(
    doorway: Doorway, running: Running
) -> None:
    await running.append("workflow_complete")
    state = await doorway.store.runs.get(TENANT, running.row.id)
    assert state is not None
    assert state.state.status == "queued"

    answer = await doorway.api.call(
        "GET",
        running.path,
        headers={"Accept": "text/event-stream", "Last-Event-ID": "4"},
    )

    assert answer.status == 204
