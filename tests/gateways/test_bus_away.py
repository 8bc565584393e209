"""A bus that is away, or did not say: what the store knows is what callers hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from contracts import BusUnavailable, Envelope, MaybePublished, derived_id, new_id
from tests.support.doorway import (
    TENANT,
    Doorway,
    Gatekeeper,
    approved,
    done,
    open_doorway,
)
from tests.support.stored import append, ended, run

RUN = {"workflow": "greet", "input": {"name": "Ada"}}
DECISION = {"action": "workflow.run", "args": RUN}
DEADLINE_S = 0.5


@pytest.fixture
async def doorway() -> AsyncIterator[Doorway]:
    async with open_doorway(gate_deadline_s=DEADLINE_S) as opened:
        yield opened


class _Silence:
    """What is listened to while the bus is away."""

    async def __aenter__(self) -> None:
        raise BusUnavailable(code="redis_unavailable")

    async def __aexit__(self, *_: object) -> None:
        """Nothing was entered."""


def away(doorway: Doorway, patch: pytest.MonkeyPatch) -> None:
    """The bus takes nothing and tells nothing."""

    async def ask(*_: Any, **__: Any) -> Any:
        raise BusUnavailable(code="redis_unavailable")

    patch.setattr(doorway.door.bus, "ask", ask)
    deaf(doorway, patch)


def deaf(doorway: Doorway, patch: pytest.MonkeyPatch) -> None:
    """The bus takes messages, and no broadcast is heard."""
    patch.setattr(doorway.door.bus, "listen", lambda *_, **__: _Silence())


def unsure(doorway: Doorway, patch: pytest.MonkeyPatch, *, taken: bool) -> None:
    """The bus does not say whether it took a message; it did or did not."""
    bus = doorway.door.bus

    async def ask(envelope: Envelope, **_: Any) -> Any:
        if taken:
            await bus.publish(envelope)

        raise MaybePublished(code="redis_unavailable")

    patch.setattr(bus, "ask", ask)


async def test_a_bus_that_is_away_is_named_at_once_and_nothing_is_recorded(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await doorway.store.counts()
    away(doorway, monkeypatch)

    with anyio.fail_after(DEADLINE_S):
        answer = await doorway.api.call("POST", "/runs", RUN)

    assert (answer.status, answer.code) == (503, "redis_unavailable")
    assert "Retry-After" in answer.headers
    assert await doorway.store.counts() == before


async def test_a_key_of_a_request_that_never_got_out_is_free_again(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": "once"}
    with monkeypatch.context() as patch:
        away(doorway, patch)
        first = await doorway.api.call("POST", "/decisions", DECISION, headers=headers)

    second = await doorway.api.call("POST", "/decisions", DECISION, headers=headers)

    assert (first.status, second.status) == (503, 200)


async def test_a_decision_the_bus_took_after_all_is_answered_from_its_record(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorway.gate.ruling = done({"n": 1})
    unsure(doorway, monkeypatch, taken=True)

    answer = await doorway.api.call("POST", "/decisions", DECISION)

    assert (answer.status, answer.body["outcome"]["result"]) == (200, {"n": 1})
    assert len(doorway.gate.asked) == 1


async def test_a_decision_the_bus_did_not_take_is_known_not_to_happen(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsure(doorway, monkeypatch, taken=False)

    answer = await doorway.api.call("POST", "/decisions", DECISION)

    assert (answer.status, answer.code) == (503, "redis_unavailable")
    assert doorway.gate.asked == []


async def test_a_run_is_waited_for_by_the_store_where_nothing_is_heard(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rule(gate: Gatekeeper, envelope: Envelope) -> None:
        run_id = derived_id("run", approved(gate, envelope).decision_id, "0")
        await gate.store.runs.create(run(id=run_id, state=ended(4)))
        await done({"run_id": run_id})(gate, envelope)

    doorway.gate.ruling = rule
    deaf(doorway, monkeypatch)

    answer = await doorway.api.call("POST", "/runs", {**RUN, "wait": True})

    assert (answer.status, answer.body["status"]) == (200, "completed")


async def test_a_stream_goes_on_from_the_store_while_nothing_is_heard(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = await doorway.store.runs.create(run(id=new_id("run")))
    first = append(row, 1, "run_created", "run_claimed", "run_started")
    await doorway.store.runs.append(TENANT, row.id, first)
    deaf(doorway, monkeypatch)

    async with doorway.api.stream(f"/runs/{row.id}/events") as response:
        last = append(row, 4, "workflow_complete", state=ended(4))
        await doorway.store.runs.append(TENANT, row.id, last)
        with anyio.fail_after(5):
            text = (await response.read()).decode()

    ids = [line[4:] for line in text.splitlines() if line.startswith("id: ")]
    assert ids == ["1", "2", "3", "4"]
    assert "event: end" in text
