"""Dead letters: seen, told once more, forgotten, and by nobody who may not."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import Envelope, said
from tests.support.polling import until
from tests.support.serving import Served
from tests.support.stored import AT, TENANT, approved, decision


@pytest.fixture
async def letter(served: Served) -> Any:
    """A verdict that nobody honours, dead."""
    await served.service.bus.publish(_forged())
    (found,) = await _letters(served, 1)
    return found


async def test_a_message_nobody_can_handle_is_seen_with_its_reason(
    served: Served, letter: Any
) -> None:
    shown = await served.api.get(f"/dead-letters/{letter['id']}")
    bus = await served.api.get("/system/bus")

    assert (letter["kind"], letter["group"]) == ("verdict", "workflow")
    assert "seal" in letter["reason"]
    assert "original" not in letter
    assert letter["id"] in shown["original"]
    assert [one["id"] for one in bus["dead_letters"]] == [letter["id"]]


async def test_a_letter_told_once_more_dies_again_or_is_heard(
    served: Served, letter: Any
) -> None:
    answer = await served.api.post(f"/dead-letters/{letter['id']}/retry")

    (again,) = await _letters(served, 1)
    assert answer == {"id": letter["id"], "state": "retried"}
    assert (again["id"], again["at"] > letter["at"]) == (letter["id"], True)


async def test_a_dropped_letter_is_gone_and_a_second_drop_says_so(
    served: Served, letter: Any
) -> None:
    path = f"/dead-letters/{letter['id']}"

    first = await served.api.call("DELETE", path)
    second = await served.api.call("DELETE", path)
    shown = await served.api.call("GET", path)

    assert (first.status, first.body["state"]) == (200, "dropped")
    assert (second.status, second.code) == (404, "not_found")
    assert (shown.status, shown.code) == (404, "not_found")
    assert await served.api.get("/dead-letters") == {"items": [], "next_cursor": None}


async def test_an_operator_neither_reads_nor_handles_dead_letters(
    served: Served, letter: Any
) -> None:
    operator = await served.key("otto", "operator")
    path = f"/dead-letters/{letter['id']}"

    answers = [
        await operator.call("GET", path),
        await operator.call("POST", f"{path}/retry", {}),
        await operator.call("DELETE", path),
    ]

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert len(await _letters(served, 1)) == 1


def _forged() -> Envelope:
    """A verdict as the gate words it, with no seal of it."""
    return said(approved(decision()), by="test", tenant=TENANT, at=AT)


async def _letters(served: Served, count: int) -> list[Any]:
    async def are_there() -> bool:
        return len((await served.api.get("/dead-letters"))["items"]) == count

    assert await until(are_there)
    return list((await served.api.get("/dead-letters"))["items"])
