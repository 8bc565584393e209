"""Idempotency-Key: a key names a decision, and the same body gets its answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest

from contracts import stamp
from tests.support.api import Answer, Api
from tests.support.definitions import greet
from tests.support.polling import until
from tests.support.serving import Given, Served, serving

BODY = {"workflow": "greet", "input": {"name": "Ada"}}


@pytest.fixture
async def api(served: Served) -> Api:
    """A service that knows one workflow."""
    await served.api.post("/workflows", greet())
    return served.api


async def test_the_same_body_again_gets_the_same_answer(api: Api) -> None:
    answers = [await _start(api, "k1") for _ in range(3)]

    assert {answer.status for answer in answers} == {202}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert await _runs(api) == 1


async def test_of_many_at_once_one_run_comes_and_all_hear_of_it(api: Api) -> None:
    ids: set[str] = set()

    async def post() -> None:
        answer = await _start(api, "k1")
        while answer.code == "request_in_progress":
            assert answer.headers["Retry-After"] == "1"
            answer = await _start(api, "k1")

        ids.add(answer.body["id"])

    async with anyio.create_task_group() as posting:
        for _ in range(20):
            posting.start_soon(post)

    assert len(ids) == 1
    assert await _runs(api) == 1


async def test_another_body_under_the_same_key_is_a_conflict(api: Api) -> None:
    await _start(api, "k1")

    other = {**BODY, "input": {"name": "Grace"}}
    answer = await _start(api, "k1", other)

    assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert await _runs(api) == 1


async def test_the_order_of_keys_and_blanks_are_no_other_body(api: Api) -> None:
    first = await _start(api, "k1")
    turned = dict(reversed(BODY.items()))
    data = json.dumps(turned, indent=3).encode()

    answer = await api.call("POST", "/runs", data=data, headers=_key("k1"))

    assert answer.body["id"] == first.body["id"]


async def test_a_quoted_key_is_the_key_inside(api: Api) -> None:
    first = await _start(api, "abc")

    assert (await _start(api, '"abc"')).body["id"] == first.body["id"]


async def test_a_key_is_one_subjects_own(api: Api, served: Served) -> None:
    operator = await served.key("eve", "operator")

    first, other = await _start(api, "k1"), await _start(operator, "k1")

    assert first.body["id"] != other.body["id"]


async def test_a_key_is_one_routes_own(api: Api) -> None:
    await _start(api, "k1")

    proposal = {"action": "workflow.run", "args": BODY}
    answer = await api.call("POST", "/decisions", proposal, headers=_key("k1"))

    assert answer.status == 200
    assert await _runs(api) == 2


async def test_a_key_holds_across_a_restart(given: Given) -> None:
    settings = given()
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        first = await _start(served.api, "k1")

    async with serving(settings) as served:
        again = await _start(served.api, "k1")

        assert again.body == first.body
        assert await _runs(served.api) == 1


async def test_a_key_is_free_again_after_a_day(api: Api, served: Served) -> None:
    first = await _start(api, "k1")
    served.clock.put_forward(86_400 + 1)

    assert (await _start(api, "k1")).body["id"] != first.body["id"]


async def test_a_key_whose_decision_was_cut_off_is_good_for_another(
    api: Api, served: Served
) -> None:
    deaf = await served.deafen("verdict", "workflow")
    cut_off = asyncio.create_task(_start(api, "k1"))
    assert await until(lambda: _is_approved(api))
    served.clock.put_forward(60)
    assert await until(lambda: _has_lapsed(api))
    deaf.end()

    answer, again = await _start(api, "k1"), await _start(api, "k1")

    assert (answer.status, again.body) == (202, answer.body)
    assert await _runs(api) == 1
    cut_off.cancel()


async def test_a_refused_request_does_not_use_its_key_up(
    api: Api, served: Served
) -> None:
    viewer = await served.key("eve", "viewer")
    bad = {**BODY, "input": {}}

    assert (await _start(viewer, "k1")).status == 403
    assert (await _start(api, "k1", bad)).status == 422
    assert (await _start(api, "k1")).status == 202


@pytest.mark.parametrize(
    "key", ["", "a" * 256, "a b", 'a"b', "\u00e9", "a\tb", "\u0661"]
)
async def test_a_key_of_another_form_is_refused(api: Api, key: str) -> None:
    answer = await _start(api, key)

    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")
    assert await _runs(api) == 0


async def test_the_longest_key_is_a_key(api: Api) -> None:
    assert (await _start(api, "a" * 255)).status == 202


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/workflows", greet("Hi") | {"name": "greet-2"}),
        (
            "/tools",
            {"name": "t", "kind": "builtin", "function": "now", "effect": "none"},
        ),
    ],
)
async def test_every_creating_post_honours_a_key(
    api: Api, path: str, body: Any
) -> None:
    first = await api.call("POST", path, body, headers=_key("k1"))
    again = await api.call("POST", path, body, headers=_key("k1"))

    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body


async def _start(api: Api, key: str, body: Any = None) -> Answer:
    return await api.call("POST", "/runs", body or BODY, headers=_key(key))


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def _runs(api: Api) -> int:
    return len([run async for run in api.pages("/runs")])


async def _is_approved(api: Api) -> bool:
    return await _states(api) == ["approved"]


async def _has_lapsed(api: Api) -> bool:
    return await _states(api) == ["expired"]


async def _states(api: Api) -> list[str]:
    listed = await api.get("/decisions?action=workflow.run")
    return [one["state"] for one in listed["items"]]


async def test_keys_whose_day_is_over_are_removed_and_others_stay(
    api: Api, served: Served
) -> None:
    await _start(api, "old")
    served.clock.put_forward(86_400 + 1)
    await _start(api, "young")
    before = (await served.counts())["idempotency"]

    await served.service.store.idempotency.expire(stamp(served.clock.now()))

    assert (before, (await served.counts())["idempotency"]) == (2, 1)
