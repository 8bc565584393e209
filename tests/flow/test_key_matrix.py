"""Who may ask what: every route of the table, by holders of every kind of key."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from contracts import JsonObject
from gateways.http import PUBLIC, ROUTES, Route
from tests.support.api import Answer, Api
from tests.support.definitions import asking, greet
from tests.support.serving import Served

PERSONS = ("nobody", "revoked", "bridge", "viewer", "operator")

TOOL = {"name": "t", "kind": "builtin", "function": "now", "effect": "none"}
STAGE = {"name": "s", "instructions": "Answer."}
FLOW: JsonObject = {
    "name": "f",
    "nodes": [
        {"id": "start", "type": "start"},
        {"id": "say", "type": "answer", "output": {"assistantReply": "Hello."}},
    ],
    "edges": [{"from": "start", "to": "say"}],
}
BODIES: dict[str, Any] = {
    "/decisions": {"action": "workflow.run", "args": {"workflow": "greet"}},
    "/runs": {"workflow": "greet", "input": {"name": "Ada"}},
    "/workflow-runs": {"workflow": "greet", "input": {"name": "Ada"}},
    "/tools": {**TOOL, "name": "another"},
    "/workflows": {**greet(), "name": "another"},
    "/stages": {**STAGE, "name": "another"},
    "/flows": {**FLOW, "name": "another"},
    "/knowledge": {"name": "another", "content": {}},
    "/keys": {"subject": "eve", "roles": ["viewer"]},
    "/freeze": {"scope": "tool", "name": "t"},
    "signal": {"name": "go"},
    "messages": {"text": "/help"},
}
"""By path, or by its last part."""

OPERATES = frozenset(
    {"/decisions", "/runs", "/workflow-runs", "/conversations"}
    | {
        f"/{runs}/{{id}}/{verb}"
        for runs in ("runs", "workflow-runs")
        for verb in ("resume", "cancel", "retry", "signal")
    }
)
"""Where an operator may change something."""


class House(NamedTuple):
    """A service with one thing of each kind, and an API for each kind of person."""

    keys: dict[str, Api]
    ids: dict[str, str]
    """By the first and the last part of a path, or by the first alone."""

    def path(self, route: Route) -> str:
        """The route's path to things that are there."""
        first, last = route.path.split("/")[1], route.path.rpartition("/")[2]
        one = self.ids.get(f"{first} {last}") or self.ids.get(first, "")
        return (
            route.path.replace("{id}", one)
            .replace("{name}", one)
            .replace("{event_id}", self.ids["event"])
        )


@pytest.fixture(scope="module")
async def house(shared: Served) -> House:
    """A house whose things may be used up."""
    return await _furnished(shared)


async def _furnished(served: Served) -> House:
    """One thing of each kind."""
    api = served.api
    for body in (greet(), asking()):
        await api.post("/workflows", body)

    await api.post("/tools", TOOL)
    await api.post("/stages", STAGE)
    await api.post("/flows", FLOW)
    await api.post("/knowledge", {"name": "k", "content": {}})
    asked, other = [await api.run("asking", {"name": "Ada"}) for _ in range(2)]
    events = await api.get(f"/runs/{other['id']}/events")
    approvals, keys = await api.get("/approvals"), await _keys(served)
    chat = await keys["operator"].post("/conversations")
    return House(
        keys,
        {
            "conversations": chat["id"],
            "runs": other["id"],
            "runs approve": asked["id"],
            "workflow-runs": other["id"],
            "workflow-runs approve": asked["id"],
            "approvals": approvals["items"][0]["id"],
            "decisions": asked["decision_id"],
            "keys": (await api.get("/keys"))["items"][0]["id"],
            "workflows": "greet",
            "tools": "t",
            "stages": "s",
            "flows": "f",
            "knowledge": "k",
            "dead-letters": "msg_00000000000000000000000000",
            "event": events["items"][0]["id"],
        },
    )


async def _keys(shared: Served) -> dict[str, Api]:
    revoked = await shared.api.post("/keys", {"subject": "eve", "roles": ["admin"]})
    await shared.api.call("DELETE", f"/keys/{revoked['id']}")
    return {
        "nobody": shared.api.as_holder_of(""),
        "revoked": shared.api.as_holder_of(revoked["key"]),
        "bridge": await shared.key("bridge", "bridge"),
        "viewer": await shared.key("vera", "viewer"),
        "operator": await shared.key("otto", "operator"),
    }


@pytest.mark.parametrize("person", PERSONS)
@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
async def test_every_route_lets_in_who_may_and_nobody_else(
    house: House, route: Route, person: str
) -> None:
    answer = await _ask(house, route, person)

    assert _judged(answer) == _due(route, person), answer


async def test_without_a_good_key_no_route_changes_anything(served: Served) -> None:
    quiet = await _furnished(served)
    before = await served.counts()

    for route in ROUTES:
        for person in ("nobody", "revoked"):
            assert (await _ask(quiet, route, person)).status == 401

    assert await served.counts() == before


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_public_route_answers_whoever_asks(shared: Served, path: str) -> None:
    answer = await shared.api.as_holder_of("").call("GET", f"/../..{path}")

    assert answer.status == 200


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "sg_",
        "sg_0" + "a" * 25 + "_" + "b" * 43,
        "sg_" + "\u00e9" * 70,
        "a" * 8_000,
    ],
)
async def test_whatever_is_wrong_with_a_key_the_answer_is_one(
    house: House, shared: Served, key: str
) -> None:
    revoked = await house.keys["revoked"].call("GET", "/version")
    answer = await shared.api.as_holder_of(key).call("GET", "/version")

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert _told(answer) == _told(revoked)


async def test_an_expired_key_opens_nothing(served: Served) -> None:
    body = {
        "subject": "eve",
        "roles": ["admin"],
        "expires_at": "2020-01-01T00:00:00.000Z",
    }
    made = await served.api.post("/keys", body)

    answer = await served.api.as_holder_of(made["key"]).call("GET", "/version")

    assert (answer.status, answer.code) == (401, "invalid_credentials")


async def test_a_key_in_the_url_is_refused_as_such(shared: Served) -> None:
    answer = await shared.api.as_holder_of("").call("GET", "/version?api_key=sg_x")

    assert (answer.status, answer.code) == (400, "credentials_in_url")


async def _ask(house: House, route: Route, person: str) -> Answer:
    last = route.path.rpartition("/")[2]
    body = BODIES.get(route.path, BODIES.get(last, {}))
    sent = body if route.method in ("POST", "PUT", "PATCH") else None
    return await house.keys[person].call(route.method, house.path(route), sent)


def _judged(answer: Answer) -> str:
    """Whether they came in, were not known, or may not."""
    if answer.status == 401:
        return "unknown"

    return "forbidden" if answer.code == "forbidden" else "in"


def _due(route: Route, person: str) -> str:
    if person in ("nobody", "revoked"):
        return "unknown"

    if person == "operator" and route.permission == "conversation":
        return "in"

    if person == "bridge" or route.permission not in (None, "read"):
        return "forbidden"

    changes = route.permission is None
    if changes and (person == "viewer" or route.path not in OPERATES):
        return "forbidden"

    return "in"


def _told(answer: Answer) -> Any:
    return {**answer.body, "request_id": ""}
