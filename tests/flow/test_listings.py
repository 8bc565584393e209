"""Lists: whole however they are paged, cursors that cannot be bent, nothing unknown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.definitions import greet
from tests.support.serving import Served

RUNS = 7
UNKNOWN = "0" * 26


@pytest.fixture(scope="module")
async def api(shared: Served) -> Api:
    """Some runs of one workflow."""
    await shared.api.post("/workflows", greet())
    for n in range(RUNS):
        await shared.api.run("greet", {"name": f"N{n}"}, tags=[f"t{n % 2}"])

    await shared.link()
    return shared.api


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
@pytest.mark.parametrize("path", ["/runs", "/decisions", "/ledger"])
async def test_a_list_is_the_same_in_pages_of_any_size(
    api: Api, path: str, limit: int
) -> None:
    whole = (await api.get(f"{path}?limit=200"))["items"]

    paged = [item async for item in api.pages(f"{path}?limit={limit}")]

    assert paged == whole
    assert len(whole) >= RUNS


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_events_are_the_same_in_pages_of_any_size(api: Api, order: str) -> None:
    run_id = (await api.get("/runs?limit=1"))["items"][0]["id"]
    path = f"/runs/{run_id}/events?order={order}"
    whole = (await api.get(path))["items"]

    paged = [item async for item in api.pages(f"{path}&limit=2")]

    assert paged == whole
    seqs = [event["seq"] for event in whole]
    assert seqs == sorted(seqs, reverse=order == "desc")


async def test_a_filter_shows_what_it_names_and_nothing_else(api: Api) -> None:
    tagged = [run async for run in api.pages("/runs?tag=t0&limit=2")]
    other = (await api.get("/runs?workflow=another"))["items"]
    lifecycle = await _events(api, "channel=lifecycle")
    ends = await _events(api, "types=workflow_complete")

    assert len(tagged) == 4
    assert other == []
    assert {event["channel"] for event in lifecycle} == {"lifecycle"}
    assert [event["type"] for event in ends] == ["workflow_complete"]


async def test_a_payload_is_shown_only_to_who_asks_for_it(api: Api) -> None:
    bare = await _events(api, "limit=200")
    full = await _events(api, "limit=200&include_payload=true")

    assert not any("payload" in event for event in bare)
    assert all("payload" in event for event in full)
    assert [event["payload_size"] for event in bare] == [
        event["payload_size"] for event in full
    ]


@pytest.mark.parametrize(
    "bend", [lambda c: c[:-1], lambda c: _another(c[0]) + c[1:], lambda _: "é"]
)
async def test_a_bent_cursor_is_refused(api: Api, bend: Any) -> None:
    cursor = (await api.get("/runs?limit=1"))["next_cursor"]

    answer = await api.call("GET", f"/runs?limit=1&cursor={bend(cursor)}")

    assert (answer.status, answer.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", ["/decisions?limit=1", "/runs?limit=1&tag=t0"])
async def test_a_cursor_serves_no_other_list_or_filter(api: Api, path: str) -> None:
    cursor = (await api.get("/runs?limit=1"))["next_cursor"]

    answer = await api.call("GET", f"{path}&cursor={cursor}")

    assert (answer.status, answer.code) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "out_of_range"),
        ("limit=-1", 422, "out_of_range"),
        ("limit=201", 422, "out_of_range"),
        ("limit=1e3", 422, "not_an_integer"),
        ("limit=abc", 422, "not_an_integer"),
        ("limit=1_0", 422, "not_an_integer"),
        ("limit=%D9%A1", 422, "not_an_integer"),
        ("limits=1", 400, "unknown_parameter"),
    ],
)
async def test_a_query_beyond_its_range_or_unknown_is_refused(
    api: Api, query: str, status: int, code: str
) -> None:
    for path in ("/runs", "/decisions", "/approvals", "/workflows", "/ledger"):
        answer = await api.call("GET", f"{path}?{query}")

        assert (answer.status, answer.code) == (status, code), path


@pytest.mark.parametrize(
    "path",
    [
        f"/runs/run_{UNKNOWN}",
        f"/runs/run_{UNKNOWN}/events",
        f"/runs/run_{UNKNOWN}/output",
        f"/runs/run_{UNKNOWN}/trace",
        f"/decisions/dec_{UNKNOWN}",
        f"/approvals/apr_{UNKNOWN}",
        "/workflows/unknown",
        "/tools/unknown",
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = await api.call("GET", path)

    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("action", ["resume", "cancel", "retry", "signal", "approve"])
async def test_nothing_is_done_to_an_unknown_run(api: Api, action: str) -> None:
    body = {"name": "go"} if action == "signal" else {}

    answer = await api.call("POST", f"/runs/run_{UNKNOWN}/{action}", body)

    assert (answer.status, answer.code) == (404, "not_found")


async def _events(api: Api, query: str) -> list[Any]:
    run_id = (await api.get("/runs?limit=1"))["items"][0]["id"]
    return list((await api.get(f"/runs/{run_id}/events?{query}"))["items"])


def _another(letter: str) -> str:
    """A letter of a cursor that is not this one."""
    return "B" if letter == "A" else "A"
