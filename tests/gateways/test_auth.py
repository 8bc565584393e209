"""Who comes in: with a good key, for its own tenant, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.doorway import Doorway, new_key, told

PAST = "2020-01-01T00:00:00.000Z"
FORMLESS = [
    "x",
    "sg_",
    "sg_0" + "a" * 25 + "_" + "b" * 43,
    "sg_" + "é" * 70,
    "a" * 8_000,
]


async def test_a_good_key_comes_in(shared: Doorway) -> None:
    assert (await shared.api.call("GET", "/version")).status == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(shared: Doorway, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {shared.key}"}

    answer = await _nobody(shared).call("GET", "/version", headers=headers)

    assert answer.status == 200


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic eDp5"}])
async def test_without_a_bearer_key_nobody_comes_in(
    shared: Doorway, header: dict[str, str]
) -> None:
    answer = await _nobody(shared).call("GET", "/version", headers=header)

    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(
    doorway: Doorway,
) -> None:
    store = doorway.store
    bad = {
        "expired": await new_key(store, "eve", "admin", expires_at=PAST),
        "revoked": await new_key(store, "eve", "admin", revoked_at=PAST),
        "wrong": (await new_key(store, "eve", "admin"))[:-1] + "!",
        "of another secret": (await new_key(store, "eve", "admin"))[:-4] + "aaaa",
        **{f"formless {n}": key for n, key in enumerate(FORMLESS)},
    }

    bodies = {name: await _refused_body(doorway, key) for name, key in bad.items()}

    assert set(bodies.values()) == {bodies["revoked"]}
    assert json.loads(bodies["revoked"])["code"] == "invalid_credentials"


@pytest.mark.parametrize("key", ["sg_\x00", "sg_" + "a" * 2**20], ids=["NUL", "1 MiB"])
async def test_a_key_that_cannot_even_be_read_is_not_valid_either(
    shared: Doorway, key: str
) -> None:
    head = f"GET /api/v1/version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}"

    answer = told(await shared.raw(f"{head}\r\n\r\n".encode()))

    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_ends_for_the_very_next_request(doorway: Doorway) -> None:
    eve = await doorway.holder("eve", "viewer")
    assert (await eve.call("GET", "/version")).status == 200
    key_id = (await doorway.store.keys.page("default", limit=1)).items[0].id

    await doorway.store.keys.revoke("default", key_id, doorway.door.at())

    assert (await eve.call("GET", "/version")).status == 401


async def test_a_route_wants_its_permission(doorway: Doorway) -> None:
    eve = await doorway.holder("eve", "viewer")

    answer = await eve.call("GET", "/keys")

    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize("named", ["other", "", "DEFAULT"])
async def test_a_key_is_good_for_its_own_tenant_alone(
    shared: Doorway, named: str
) -> None:
    headers = {"X-Tenant-Id": named}

    answer = await shared.api.call("GET", "/version", headers=headers)

    assert (answer.status, answer.code) == (403, "forbidden")


async def test_who_names_the_own_tenant_comes_in(shared: Doorway) -> None:
    headers = {"X-Tenant-Id": "default"}

    assert (await shared.api.call("GET", "/version", headers=headers)).status == 200


async def test_what_another_tenant_has_is_as_absent_as_what_nobody_has(
    doorway: Doorway,
) -> None:
    made = await doorway.api.post(
        "/decisions", {"action": "workflow.run", "args": {"workflow": "greet"}}
    )
    stranger = await doorway.holder("eve", "admin", tenant="other")

    foreign = await stranger.call("GET", f"/decisions/{made['decision_id']}")
    unknown = await stranger.call("GET", "/decisions/dec_01m7y4ad52evcba6zat7tp05c2")

    assert (foreign.status, unknown.status) == (404, 404)
    assert _shape(foreign.body) == _shape(unknown.body)


async def test_the_principal_comes_from_the_key_alone(doorway: Doorway) -> None:
    ada = await doorway.holder("ada", "operator")
    body = {"action": "workflow.run", "args": {"workflow": "greet"}}

    await ada.call("POST", "/decisions", body)

    [decision] = doorway.gate.decisions
    assert decision.principal.subject == "sub_ada"
    assert decision.principal.tenant == "default"
    assert decision.proposer.kind == "user"
    assert "key.manage" not in decision.principal.permissions


async def _refused_body(doorway: Doorway, key: str) -> str:
    answer = await doorway.api.as_holder_of(key).call("GET", "/version")
    assert answer.status == 401
    return json.dumps({**answer.body, "request_id": ""})


def _nobody(doorway: Doorway) -> Any:
    return doorway.api.as_holder_of("")


def _shape(body: Any) -> Any:
    return {**body, "request_id": "", "detail": "", "message": ""}
