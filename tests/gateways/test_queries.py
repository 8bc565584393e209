"""Query parameters: each known, once, and in its range; refused before any work."""

from __future__ import annotations

import pytest

from tests.support.doorway import Doorway

REFUSED = {
    "H19 zero": ("/runs?limit=0", 422, "out_of_range"),
    "H19 below": ("/runs?limit=-1", 422, "out_of_range"),
    "H19 above": ("/runs?limit=201", 422, "out_of_range"),
    "H19 exponent": ("/runs?limit=1e3", 422, "not_an_integer"),
    "H19 word": ("/runs?limit=abc", 422, "not_an_integer"),
    "H19 underscore": ("/runs?limit=1_0", 422, "not_an_integer"),
    "H19 Arabic digits": ("/runs?limit=%D9%A1", 422, "not_an_integer"),
    "H19 nothing": ("/runs?limit=", 422, "not_an_integer"),
    "H19 5,000 digits": (f"/runs?limit={'9' * 5_000}", 422, "not_an_integer"),
    "H20": ("/runs?limits=1", 400, "unknown_parameter"),
    "H20 on one": ("/version?x=1", 400, "unknown_parameter"),
    "twice": ("/runs?limit=1&limit=2", 422, "invalid"),
    "status": ("/runs?status=done", 422, "invalid"),
    "trigger": ("/runs?trigger=moon", 422, "invalid"),
    "order": ("/runs?order=up", 422, "invalid"),
    "a time that is none": ("/runs?created_after=now", 422, "invalid"),
    "a time without zone": (
        "/runs?created_after=2026-11-21T00:00:00",
        422,
        "invalid",
    ),
    "a time out of time": (
        "/runs?created_after=0001-01-01T00:00:00%2B14:00",
        422,
        "invalid",
    ),
    "action": ("/decisions?action=run.explode", 422, "invalid"),
    "decision state": ("/decisions?state=maybe", 422, "invalid"),
    "approval state": ("/approvals?state=maybe", 422, "invalid"),
    "version": ("/tools/t?version=0", 404, "not_found"),
    "ledger": ("/ledger?after=x", 422, "not_an_integer"),
    "B-5": ("/version?access_token=x", 400, "credentials_in_url"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_query_beyond_its_range_is_refused(shared: Doorway, case: str) -> None:
    path, status, code = REFUSED[case]

    answer = await shared.api.call("GET", path)

    assert (answer.status, answer.code) == (status, code), answer


@pytest.mark.parametrize(
    "path",
    [
        "/runs?limit=1&status=paused&trigger=api&order=asc&tag=t",
        "/runs?created_after=2026-11-21T00:00:00Z&created_before=2026-11-21T00:00%2B01",
        "/decisions?action=run.cancel&state=done&rule=r&subject=s",
        "/approvals?state=waiting",
        "/ledger?after=3&limit=200",
        "/workflows?limit=200",
    ],
)
async def test_a_query_within_its_range_is_taken(shared: Doorway, path: str) -> None:
    assert (await shared.api.call("GET", path)).status == 200


async def test_an_unknown_parameter_is_named_with_the_nearest_known(
    shared: Doorway,
) -> None:
    answer = await shared.api.call("GET", "/runs?limits=1")

    assert "'limits'" in answer.body["detail"]
    assert "Did you mean limit?" in answer.body["detail"]


async def test_a_number_out_of_range_is_told_its_range(shared: Doorway) -> None:
    answer = await shared.api.call("GET", "/runs?limit=0")

    assert answer.body["detail"] == "limit must be 1 to 200."


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("wait=maybe", "invalid"),
        ("timeout_s=0", "out_of_range"),
        ("timeout_s=61", "out_of_range"),
        ("timeout_s=1e1", "type_error"),
        ("timeout_s=nan", "type_error"),
        ("timeout_s=-1", "out_of_range"),
        ("timeout_s=%D9%A1", "type_error"),
    ],
)
async def test_how_to_wait_is_checked_before_anything_is_proposed(
    doorway: Doorway, query: str, code: str
) -> None:
    body = {"action": "workflow.run", "args": {"workflow": "greet"}}

    answer = await doorway.api.call("POST", f"/decisions?{query}", body)

    assert (answer.status, answer.code) == (422, code)
    assert doorway.gate.asked == []


K1_K2 = [
    "%2e%2e%2fx",
    "%2f",
    ".%2e",
    "run_",
    "run_01M7Y4AD52EVCBA6ZAT7TP05C2",
    "run_01m7y4ad52evcba6zat7tp05c2%20",
    "run_01m7y4ad52evcba6zat7tp05c%E2%80%8B",
    "run_01m7y4ad52evcba6zat7tp05c2%0A",
    "dec_01m7y4ad52evcba6zat7tp05c2",
]


@pytest.mark.parametrize("given", K1_K2)
async def test_what_has_not_the_form_of_an_id_is_no_id(
    shared: Doorway, given: str
) -> None:
    answer = await shared.api.call("GET", f"/runs/{given}")

    assert answer.status in (400, 404)
    assert answer.code in ("invalid_id", "invalid_path", "route_not_found")


async def test_a_bad_id_is_shown_the_form_of_a_good_one(shared: Doorway) -> None:
    answer = await shared.api.call("GET", "/runs/x")

    assert "run_ and 26 characters" in answer.body["detail"]
