"""A sealed verdict on the bus: used once, and only as it was sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from contracts import (
    Approved,
    DecisionRecord,
    Envelope,
    NoReply,
    Outcome,
    digest,
    later,
    new_id,
    said,
    stamp,
)
from tests.support.definitions import greet
from tests.support.polling import until
from tests.support.serving import Served

USES = 1_000
RUN = {
    "action": "workflow.run",
    "args": {"workflow": "greet", "input": {"name": "Ada"}},
}


async def test_of_a_thousand_uses_at_once_one_runs_and_the_rest_hear_of_it(
    served: Served,
) -> None:
    verdict = await _unused(served)
    replayed = _counted("verdicts_replayed")
    outcomes: list[Outcome] = []

    async def use() -> None:
        outcomes.append(await _use(served, verdict))

    async with anyio.create_task_group() as users:
        for _ in range(USES):
            users.start_soon(use)

    assert len(outcomes) == USES
    assert {outcome.state for outcome in outcomes} == {"succeeded"}
    assert len({json.dumps(outcome.result) for outcome in outcomes}) == 1
    assert [outcome.replayed for outcome in outcomes].count(False) == 1
    assert _counted("verdicts_replayed") - replayed == USES - 1
    assert await _runs_of(served, verdict) == 1


async def test_a_verdict_with_any_byte_flipped_starts_nothing(served: Served) -> None:
    verdict = await _unused(served)
    before = await _traces(served)
    refused = _counted("verdicts_refused")
    altered = list(_flipped(verdict))

    for one in altered:
        await served.service.bus.publish(_envelope(served, one))

    async def all_refused() -> bool:
        return _counted("verdicts_refused") - refused == len(altered)

    assert len(altered) > 400
    assert await until(all_refused)
    assert await _traces(served) == before
    assert await _runs_of(served, verdict) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"decision_id": "dec_" + "0" * 26},
        {"decision_digest": "sha256:0"},
        {"action_digest": "sha256:0"},
        {"tenant": "another"},
        {"subject": "sub_another"},
        {"pins": {}},
        {"limits": {"calls": 1_000_000}},
        {"rules": ()},
        {"expires_at": "2999-01-01T00:00:00.000Z"},
        {"issued_at": "2001-01-01T00:00:00.000Z"},
        {"key_id": "another"},
        {"seal": "0" * 64},
        {"would_ask": True},
    ],
    ids=lambda change: str(next(iter(change))),
)
async def test_a_verdict_with_a_changed_field_is_refused(
    served: Served, change: dict[str, Any]
) -> None:
    verdict = await _unused(served)
    refused = _counted("verdicts_refused", code="verdict_invalid")

    await _expect_nothing(served, verdict.model_copy(update=change))

    assert _counted("verdicts_refused", code="verdict_invalid") == refused + 1
    assert await _runs_of(served, verdict) == 0


async def test_a_verdict_is_refused_a_moment_after_it_expired(served: Served) -> None:
    verdict = await _unused(served, lasts_s=5)
    refused = _counted("verdicts_refused", code="verdict_expired")
    served.clock.put_forward(6)

    await _expect_nothing(served, verdict)

    assert _counted("verdicts_refused", code="verdict_expired") == refused + 1
    assert await _runs_of(served, verdict) == 0
    assert await served.service.bus.dead_letters() == ()


@pytest.mark.parametrize("audience", ["coordinator", "conversation"])
async def test_a_verdict_sealed_for_somebody_else_starts_nothing(
    served: Served, audience: str
) -> None:
    verdict = await _unused(served, audience=audience)

    await _expect_nothing(served, verdict)

    assert await _runs_of(served, verdict) == 0


async def test_a_sealed_verdict_without_its_record_is_refused(served: Served) -> None:
    verdict = await _unused(served, recorded=False)

    await _expect_nothing(served, verdict)

    assert await _runs_of(served, verdict) == 0


async def _unused(
    served: Served,
    *,
    lasts_s: float = 300,
    audience: str = "workflow",
    recorded: bool = True,
) -> Approved:
    """A verdict as the gate seals them, of a recorded decision nobody acted upon."""
    record = await _example(served)
    at = stamp(served.clock.now())
    decision = record.decision.model_copy(update={"id": new_id("dec")})
    meant = decision.model_dump(mode="json", exclude={"not_after"})
    given = record.verdict.model_dump(exclude={"seal", "key_id", "result"})
    changed = {
        "id": new_id("vrd"),
        "decision_id": decision.id,
        "decision_digest": digest(meant),
        "audience": audience,
        "issued_at": at,
        "expires_at": later(at, lasts_s),
    }
    verdict = served.seals.sealed({**given, **changed})
    fresh = {
        "decision": decision,
        "decision_digest": verdict.decision_digest,
        "verdict": verdict,
        "recorded_at": at,
        "state": "approved",
        "outcome": None,
        "settled_at": None,
    }
    if recorded:
        await served.service.store.decisions.record(record.model_copy(update=fresh))

    return verdict


async def _example(served: Served) -> DecisionRecord:
    """The record of a decision that was carried out."""
    await served.api.post("/workflows", greet())
    answer = await served.api.post("/decisions", RUN)
    run_id = answer["outcome"]["result"]["run_id"]
    async with served.api.stream(f"/runs/{run_id}/events") as response:
        await response.read()

    store = served.service.store
    record = await store.decisions.get("default", answer["decision_id"])
    assert record is not None
    return record


def _envelope(served: Served, verdict: Approved) -> Envelope:
    """It is said in reply to itself, so that who asks hears the outcome."""
    at = stamp(served.clock.now())
    envelope = said(verdict, by="test", tenant="default", at=at)
    return envelope.model_copy(update={"in_reply_to": envelope.id})


async def _use(served: Served, verdict: Approved, patience_s: float = 15.0) -> Outcome:
    """The outcome of one use. Raises NoReply."""
    envelope = _envelope(served, verdict)
    [reply] = await served.service.bus.ask(envelope, timeout_s=patience_s)
    assert isinstance(reply.body, Outcome)
    return reply.body


async def _expect_nothing(served: Served, verdict: Approved) -> None:
    with pytest.raises(NoReply):
        await _use(served, verdict, patience_s=0.2)


async def _runs_of(served: Served, verdict: Approved) -> int:
    listed = served.api.pages("/runs")
    ids = [run["decision_id"] async for run in listed]
    return ids.count(verdict.decision_id)


async def _traces(served: Served) -> list[int]:
    """How much there is of what an effect would leave behind."""
    counts = await served.counts()
    return [counts[name] for name in ("decisions", "effects", "runs", "run_events")]


def _flipped(verdict: Approved) -> Iterator[Approved]:
    """Every verdict that differs in one byte, reads, and is meant for the entry."""
    raw = verdict.model_dump_json().encode()
    for n in range(len(raw)):
        altered = bytes([*raw[:n], raw[n] ^ 1, *raw[n + 1 :]])
        try:
            read = Approved.model_validate_json(altered)
        except ValidationError:
            continue

        if read != verdict and read.audience == "workflow":
            yield read


def _counted(name: str, **labels: str) -> float:
    """What a counter has come to, over all labels that are not given."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == f"sluicegate_{name}_total"
        and labels.items() <= sample.labels.items()
    )
