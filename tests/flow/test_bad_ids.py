"""Bad ids and names (group K): never a path, never another thing than was named."""

from __future__ import annotations

import pytest

from tests.support.definitions import end, greet, start, workflow
from tests.support.serving import Served

RUN_ID = "run_" + "0" * 25 + "a"

NO_IDS = [
    "%2e%2e%2fx",
    "a%2fb",
    "%2f",
    "%00",
    "..%5c",
    "x",
    "run_",
    RUN_ID[:-1],
    RUN_ID + "0",
    RUN_ID.upper(),
    RUN_ID.replace("run_", "dec_"),
    "%20" + RUN_ID,
    RUN_ID + "%20",
    RUN_ID + "%0a",
    RUN_ID[:-1] + "%E2%80%8B",
    RUN_ID[:-1] + "u",
    RUN_ID.replace("_0", "_8"),
    "a" * 5_000,
]


@pytest.mark.parametrize("given", NO_IDS)
@pytest.mark.parametrize("path", ["/runs/{}", "/runs/{}/events", "/runs/{}/output"])
async def test_what_has_not_the_form_of_an_id_is_told_so(
    shared: Served, path: str, given: str
) -> None:
    answer = await shared.api.call("GET", path.format(given))

    assert (answer.status, answer.code) in (
        (400, "invalid_id"),
        (400, "invalid_path"),
        (404, "route_not_found"),
    )
    assert len(answer.body["detail"]) < 200


@pytest.mark.parametrize("path", ["/runs", "/decisions", "/approvals", "/workflows"])
@pytest.mark.parametrize("given", [".", "..", "../../etc/passwd", ""])
async def test_a_path_in_place_of_an_id_finds_nothing(
    shared: Served, path: str, given: str
) -> None:
    escaped = given.replace(".", "%2e")

    answer = await shared.api.call("GET", f"{path}/{escaped}")

    assert answer.status in (400, 404)
    assert answer.code in ("invalid_id", "route_not_found", "not_found")


async def test_an_id_beyond_the_length_of_a_url_is_refused(shared: Served) -> None:
    answer = await shared.api.call("GET", "/runs/" + "a" * 10_240)

    assert (answer.status, answer.code) == (414, "uri_too_long")


@pytest.mark.parametrize("prefix", ["approvals", "decisions"])
async def test_an_id_of_another_kind_is_no_id_here(shared: Served, prefix: str) -> None:
    answer = await shared.api.call("GET", f"/{prefix}/{RUN_ID}")

    assert (answer.status, answer.code) == (400, "invalid_id")


async def test_a_key_that_an_open_run_has_is_taken(served: Served) -> None:
    hold = {"id": "hold", "type": "wait", "signal": "go"}
    held = workflow("held", start(), hold, end(), edges="start hold, hold end")
    await served.api.post("/workflows", held)
    body = {"workflow": "held", "input": {"name": "Ada"}, "key": "one"}
    first = await served.api.post("/runs", body)

    second = await served.api.call("POST", "/runs", body)

    assert (second.status, second.code) == (409, "run_exists")
    assert second.body["details"]["run_id"] == first["id"]
    use = {**body, "on_conflict": "use_existing"}
    assert (await served.api.post("/runs", use))["id"] == first["id"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        "../a",
        "a..b",
        "\U0001f600",
        "\u202eabc",
        "a\u200bb",
        "a\nb",
        "-a",
        "a" * 101,
        "a?b",
        "<b>",
    ],
)
async def test_a_name_that_could_deceive_is_refused(shared: Served, name: str) -> None:
    before = await shared.counts()

    answer = await shared.api.call("POST", "/workflows", {**greet(), "name": name})

    assert answer.status == 422, answer
    assert answer.body["pointer"] == "/name"
    after = await shared.counts()
    changed = {n for n, number in after.items() if number != before[n]}
    assert changed <= {"decisions", "ledger"}


@pytest.mark.parametrize("name", ["Übung 1", "日本", "مرحبا", "a_b.c:d-e"])
async def test_names_of_every_script_are_kept_as_they_are(
    served: Served, name: str
) -> None:
    await served.api.post("/workflows", {**greet(), "name": name})

    assert (await served.api.get(f"/workflows/{name}"))["name"] == name
