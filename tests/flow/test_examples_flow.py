"""The shipped examples do real work, offline, from file to result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.api import Answer, Api
from tests.support.checkout import ROOT
from tests.support.ports import free_port
from tests.support.serving import Given, Served, serving

EXAMPLES = ROOT / "examples"
LAMPS = {"item": "lamp", "quantity": 2}


@pytest.fixture
async def shop(given: Given) -> AsyncIterator[Served]:
    """A service that knows the examples, and whose tools may call itself."""
    port = free_port()
    own = {"allow_private": ("127.0.0.1",), "ports": (port,)}
    base = given(server={"port": port})
    http = base.tools.http.model_copy(update=own)
    settings = base.model_copy(
        update={"tools": base.tools.model_copy(update={"http": http})}
    )
    async with serving(settings) as served:
        for folder in ("tools", ""):
            for path in sorted((EXAMPLES / folder).glob("*.yaml")):
                text = path.read_text(encoding="utf-8").replace(":8080", f":{port}")
                await _save(served.api, folder or "workflows", text)

        yield served


async def test_greet_returns_what_its_end_declares(shop: Served) -> None:
    run = await shop.api.run("greet", {"name": "Ada"})

    assert run["output"] == {"greeting": "Hello ADA", "letters": 3}


async def test_a_page_is_fetched_and_told_of_by_its_length(shop: Served) -> None:
    long = await shop.api.run("fetch-and-summarise")
    short = await shop.api.run("fetch-and-summarise", {"page": "healthz"})

    assert long["output"]["lines"] > 3
    assert "lines from" in long["output"]["summary"]
    assert short["output"]["lines"] == 1
    assert short["steps_state"]["long"]["status"] == "skipped"


async def test_a_page_that_does_not_come_ends_on_the_failing_way(
    shop: Served,
) -> None:
    path = "/tools/fetch-page"
    tool = (await shop.api.get(path))["definition"]
    tool["http"]["url"] = f"http://127.0.0.1:{free_port()}/x"
    await shop.api.call("PUT", path, tool)

    run = await shop.api.run("fetch-and-summarise")

    assert (run["status"], run["success"]) == ("failed", False)
    assert run["error"]["code"] == "page_unreachable"


async def test_an_order_waits_for_somebody_else_and_is_placed_once(
    shop: Served,
) -> None:
    ada = await shop.key("ada", "operator")
    grace = await shop.key("grace", "approver")
    waiting = await ada.run("order", LAMPS)
    assert (waiting["status"], waiting["paused_reason"]) == ("paused", "approval")
    assert await _called(shop, waiting["id"], "place-order") == 0

    own = await _vote(await shop.key("ada", "approver"), waiting["id"])
    assert (own.status, own.code) == (403, "self_approval")
    assert await _called(shop, waiting["id"], "place-order") == 0

    [approval] = (await shop.api.get("/approvals?state=waiting"))["items"]
    asked = {"item": "lamp", "quantity": 2, "total_cents": 9980}
    assert approval["args"]["input"] == asked
    assert (await _vote(grace, waiting["id"])).status == 200
    placed = await _ended(shop, waiting["id"])

    assert placed["success"] is True
    assert placed["output"]["total_cents"] == 9980
    assert await _called(shop, waiting["id"], "place-order") == 1
    path = f"/approvals/{approval['id']}/grant"
    late = await (await shop.key("joan", "approver")).call("POST", path, {})
    assert (late.status, late.code) == (409, "not_waiting")
    assert await _called(shop, waiting["id"], "place-order") == 1


async def test_a_refused_order_is_not_placed(shop: Served) -> None:
    ada = await shop.key("ada", "operator")
    grace = await shop.key("grace", "approver")
    waiting = await ada.run("order", LAMPS)

    voted = await _vote(grace, waiting["id"], approve=False)

    assert voted.status == 200
    run = await shop.api.get(f"/runs/{waiting['id']}")
    assert run["success"] is False
    assert await _called(shop, waiting["id"], "place-order") == 0


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"item": "sofa", "quantity": 1}, "unknown_item"),
        ({"item": "desk", "quantity": 1}, "out_of_stock"),
    ],
)
async def test_an_order_that_cannot_be_met_asks_nobody(
    shop: Served, wanted: dict[str, Any], code: str
) -> None:
    run = await shop.api.run("order", wanted)

    assert (run["status"], run["error"]["code"]) == ("failed", code)
    assert (await shop.api.get("/approvals"))["items"] == []


async def _save(api: Api, kind: str, text: str) -> None:
    headers = {"Content-Type": "application/yaml"}
    answer = await api.call("POST", f"/{kind}", data=text.encode(), headers=headers)
    assert answer.status == 201, answer


async def _vote(voter: Api, run_id: str, *, approve: bool = True) -> Answer:
    body = {"node_id": "order", "approve": approve}
    return await voter.call("POST", f"/runs/{run_id}/approve", body)


async def _called(shop: Served, run_id: str, tool: str) -> int:
    path = f"/runs/{run_id}/events?types=tool_call&include_payload=true"
    calls = [event async for event in shop.api.pages(path)]
    return [event["payload"]["tool"] for event in calls].count(tool)


async def _ended(shop: Served, run_id: str) -> Any:
    async with shop.api.stream(f"/runs/{run_id}/events") as response:
        await response.read()

    return await shop.api.get(f"/runs/{run_id}")
