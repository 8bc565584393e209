"""Events as a stream: from the store, then live, nothing missing and nothing twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest

from tests.support.definitions import end, start, transform, workflow
from tests.support.serving import Served

PATIENCE_S = 5.0

WAITING = workflow(
    "waiting",
    start(),
    transform("before", text="${start.name}"),
    {"id": "hold", "type": "wait", "signal": "go"},
    transform("after", text="${before.text}"),
    end(text="${after.text}"),
    edges="start before, before hold, hold after, after end",
)
ASKING = workflow(
    "asking",
    start(),
    {"id": "ask", "type": "approval", "message": "May ${start.name}?"},
    end(name="${start.name}"),
    edges="start ask, ask end",
)


class Said(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: Any


async def test_a_stream_replays_then_follows_and_ends_with_the_run(
    served: Served,
) -> None:
    run_id = await _waiting(served)

    async with served.api.stream(f"/runs/{run_id}/events") as response:
        heard = _said(response)
        replayed = await _until(heard, "run_paused")
        await _go(served, run_id)
        live = [one async for one in heard]

    assert response.content_type == "text/event-stream"
    assert live[-1].event == "end"
    assert await _seqs(served, run_id) == _numbers([*replayed, *live[:-1]])
    assert live[-2].event == "workflow_complete"
    assert live[-2].data["event"]["payload"]["output"] == {"text": "Ada"}


async def test_a_cut_stream_goes_on_after_the_last_event_it_sent(
    served: Served,
) -> None:
    run_id = await _waiting(served)
    path = f"/runs/{run_id}/events"

    async with served.api.stream(path) as response:
        first = await _take(_said(response), 3)

    last = {"Last-Event-ID": first[-1].id}
    async with served.api.stream(path, headers=last) as response:
        await _go(served, run_id)
        rest = [one async for one in _said(response)]

    assert _numbers([*first, *rest[:-1]]) == await _seqs(served, run_id)


async def test_a_stream_cut_after_each_event_loses_and_repeats_none(
    served: Served,
) -> None:
    run_id = await _waiting(served)
    await _go(served, run_id)
    path = f"/runs/{run_id}/events"
    heard: list[Said] = []
    while not heard or heard[-1].event != "workflow_complete":
        last = {"Last-Event-ID": heard[-1].id} if heard else {}
        async with served.api.stream(path, headers=last) as response:
            heard += await _take(_said(response), 1)

    assert _numbers(heard) == await _seqs(served, run_id)


async def test_a_reader_who_has_everything_of_an_ended_run_gets_204(
    served: Served,
) -> None:
    run_id = await _waiting(served)
    await _go(served, run_id)
    path = f"/runs/{run_id}/events"
    async with served.api.stream(path) as response:
        heard = [one async for one in _said(response)]

    last = {"Last-Event-ID": heard[-2].id}
    async with served.api.stream(path, headers=last) as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_a_run_that_waits_for_a_person_does_not_end_its_stream(
    served: Served,
) -> None:
    await served.api.post("/workflows", ASKING)
    grace = await served.key("grace", "approver")
    run = await served.api.run("asking", {"name": "Ada"})
    assert run["paused_reason"] == "approval"

    async with served.api.stream(f"/runs/{run['id']}/events") as response:
        heard = _said(response)
        before = await _until(heard, "run_paused")
        with pytest.raises(TimeoutError), anyio.fail_after(0.3):
            await anext(heard)

    last = {"Last-Event-ID": before[-1].id}
    path = f"/runs/{run['id']}/events"
    async with served.api.stream(path, headers=last) as response:
        await grace.post(f"/runs/{run['id']}/approve", {"node_id": "ask"})
        after = [one async for one in _said(response)]

    assert [one.event for one in after[-2:]] == ["workflow_complete", "end"]
    numbers = _numbers([*before, *after[:-1]])
    assert numbers == await _seqs(served, run["id"])


async def test_many_readers_of_one_run_hear_the_same(served: Served) -> None:
    run_id = await _waiting(served)
    heard: list[list[int]] = []

    async def read() -> None:
        async with served.api.stream(f"/runs/{run_id}/events") as response:
            said = [one async for one in _said(response)]
            heard.append(_numbers(said[:-1]))

    async with anyio.create_task_group() as readers:
        for _ in range(20):
            readers.start_soon(read)

        await _go(served, run_id)

    assert heard == [await _seqs(served, run_id)] * 20


@pytest.mark.parametrize(
    ("last", "code"),
    [("999", "last_event_id_ahead"), ("x", "not_an_integer"), ("-1", "not_an_integer")],
)
async def test_a_last_event_id_that_cannot_be_ours_is_refused(
    served: Served, last: str, code: str
) -> None:
    run_id = await _waiting(served)

    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    answer = await served.api.call("GET", f"/runs/{run_id}/events", headers=headers)

    assert answer.code == code
    assert answer.status in (400, 422)


async def _waiting(served: Served) -> str:
    """A run that waits for the signal ``go``."""
    await served.api.post("/workflows", WAITING)
    body = {"workflow": "waiting", "input": {"name": "Ada"}}
    run_id = str((await served.api.post("/runs", body))["id"])
    async with served.api.stream(f"/runs/{run_id}/events") as response:
        await _until(_said(response), "run_paused")

    return run_id


async def _go(served: Served, run_id: str) -> None:
    await served.api.post(f"/runs/{run_id}/signal", {"name": "go"})


async def _seqs(served: Served, run_id: str) -> list[int]:
    listed = served.api.pages(f"/runs/{run_id}/events?limit=5")
    return [event["seq"] async for event in listed]


def _numbers(heard: list[Said]) -> list[int]:
    """The ids of events, each of which says the same as its data."""
    assert [one.event for one in heard] == [one.data["event"]["type"] for one in heard]
    numbers = [int(one.id) for one in heard]
    assert numbers == [one.data["event"]["seq"] for one in heard]
    return numbers


async def _take(heard: AsyncIterator[Said], number: int) -> list[Said]:
    with anyio.fail_after(PATIENCE_S):
        return [await anext(heard) for _ in range(number)]


async def _until(heard: AsyncIterator[Said], event: str) -> list[Said]:
    """Everything up to the first event of a type."""
    said: list[Said] = []
    with anyio.fail_after(PATIENCE_S):
        while not said or said[-1].event != event:
            said.append(await anext(heard))

    return said


async def _said(response: aiohttp.ClientResponse) -> AsyncIterator[Said]:
    """The events of a stream, comments left out."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        name, _, value = raw.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            data = json.loads(fields["data"])
            yield Said(fields.get("id", ""), fields.get("event", ""), data)
            fields = {}
