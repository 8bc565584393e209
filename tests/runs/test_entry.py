"""The run entry: which verdicts it honours, and that each is used once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import ValidationError

from contracts import (
    Approval,
    Approved,
    Awaiting,
    Decision,
    EffectRow,
    FreezeRow,
    Outcome,
    StoreUnavailable,
    TemporaryError,
    VerdictRefused,
    derived_id,
    later,
    new_id,
)
from runs.carriers import Carried, Use
from tests.support.entrance import (
    RUN,
    SEALS,
    TENANT,
    Entrance,
    counted,
    open_entrance,
    recorded,
    seal,
)

SAVE = {"definition": {"name": "greet", "nodes": [], "edges": []}}
USES = 1_000


@pytest.fixture
async def door() -> AsyncIterator[Entrance]:
    """The entry before an empty store."""
    async with open_entrance() as entrance:
        yield entrance


class Counting:
    """A carrier that counts, and fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.done = 0
        self._failures = failures

    async def __call__(self, use: Use) -> Carried:
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable

        await checkpoint()
        self.done += 1
        return Carried({"done": self.done})


async def test_an_approved_run_is_a_durable_row_and_its_decision_done(
    door: Entrance,
) -> None:
    verdict = await door.approve("workflow.run", RUN)

    outcome = await door.entry.perform(verdict)

    run_id = derived_id("run", verdict.decision_id, "0")
    assert outcome == Outcome(
        decision_id=verdict.decision_id, state="succeeded", result={"run_id": run_id}
    )
    row = await door.store.runs.get(TENANT, run_id)
    assert row is not None
    assert (row.workflow, row.workflow_version, row.pins) == ("greet", 3, verdict.pins)
    assert [run.id for run in door.worker.started] == [run_id]
    record = await door.store.decisions.get(TENANT, verdict.decision_id)
    assert record is not None
    assert (record.state, record.outcome) == ("done", outcome)


async def test_a_run_without_a_free_slot_is_left_to_any_worker(door: Entrance) -> None:
    door.worker.free = False

    outcome = await door.entry.perform(await door.approve("workflow.run", RUN))

    row = await door.store.runs.get(TENANT, outcome.result["run_id"])
    assert row is not None
    assert row.lease is None
    assert door.worker.started == []


async def test_of_a_thousand_uses_at_once_one_is_an_effect(door: Entrance) -> None:
    verdict = await door.approve("workflow.run", RUN)
    replayed = counted("verdicts_replayed")

    outcomes = await _use(door, verdict, USES)

    assert [outcome.replayed for outcome in outcomes].count(False) == 1
    assert {outcome.result["run_id"] for outcome in outcomes} == {
        derived_id("run", verdict.decision_id, "0")
    }
    assert counted("verdicts_replayed") - replayed == USES - 1
    assert len(door.worker.started) == 1


async def test_of_many_uses_at_once_a_carrier_is_called_for_one(
    door: Entrance,
) -> None:
    carrier = Counting()
    entry = door.another({"workflow.save": carrier})
    verdict = await door.approve("workflow.save", SAVE)

    outcomes = await _use(door._replace(entry=entry), verdict, USES)

    assert carrier.done == 1
    assert {outcome.result["done"] for outcome in outcomes} == {1}
    assert [outcome.replayed for outcome in outcomes].count(False) == 1


async def test_a_use_in_another_process_hears_of_the_first(door: Entrance) -> None:
    carrier = Counting()
    verdict = await door.approve("workflow.save", SAVE)
    first = await door.another({"workflow.save": carrier}).perform(verdict)

    second = await door.another({"workflow.save": carrier}).perform(verdict)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.result == first.result
    assert carrier.done == 1


async def test_a_verdict_with_any_bit_flipped_is_refused_and_counted(
    door: Entrance,
) -> None:
    verdict = await door.approve("workflow.run", RUN)
    before = counted("verdicts_refused", code="verdict_invalid")
    altered = list(_flipped(verdict))

    for one in altered:
        with pytest.raises(VerdictRefused):
            await door.entry.perform(one)

    assert len(altered) > 2_000
    refused = counted("verdicts_refused", code="verdict_invalid") - before
    assert refused == len(altered)
    assert door.worker.started == []


@pytest.mark.parametrize("field", sorted(set(Approved.model_fields) - {"result"}))
async def test_a_verdict_with_a_changed_field_is_refused(
    door: Entrance, field: str
) -> None:
    verdict = await door.approve("workflow.run", RUN)
    forged = verdict.model_copy(update={field: _other(getattr(verdict, field))})

    await _expect_refused(door, forged, "verdict_invalid")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "sub_eve"),
        ("decision_digest", "sha256:0"),
        ("action_digest", "sha256:0"),
        ("pins", {"workflow:greet": "sha256:9"}),
    ],
)
async def test_a_sealed_verdict_that_fits_no_record_is_refused(
    door: Entrance, field: str, value: Any
) -> None:
    verdict = await door.approve("workflow.run", RUN, **{field: value})

    await _expect_refused(door, verdict, "verdict_invalid")


async def test_a_sealed_verdict_of_a_decision_nobody_recorded_is_refused(
    door: Entrance,
) -> None:
    decision = door.decide("workflow.run", RUN, await door.holder())

    await _expect_refused(door, seal(decision, door.now), "verdict_invalid")


async def test_a_second_sealed_verdict_on_one_decision_is_refused(
    door: Entrance,
) -> None:
    decision = door.decide("workflow.run", RUN, await door.holder())
    await door.store.decisions.record(recorded(decision, seal(decision, door.now)))

    other = seal(decision, door.now, expires_at=later(door.now, 3_000))

    await _expect_refused(door, other, "verdict_invalid")


async def test_what_people_approved_is_done_under_the_verdict_of_their_approval(
    door: Entrance,
) -> None:
    decision = door.decide("workflow.run", RUN, await door.holder())
    verdict = seal(decision, door.now)
    await _record_asked(door, decision, verdict)
    await _expect_refused(door, verdict, "verdict_invalid")

    waiting = await door.store.approvals.of_decision(TENANT, decision.id)
    assert waiting is not None
    granted = {"state": "approved", "verdict": verdict, "revision": 2}
    await door.store.approvals.change(
        waiting.model_copy(update=granted), from_revision=1
    )

    assert (await door.entry.perform(verdict)).state == "succeeded"


async def test_a_verdict_is_refused_a_moment_after_it_expired(door: Entrance) -> None:
    verdict = await door.approve("workflow.run", RUN, expires_at=later(door.now, 5))
    await door.clock.advance(5.001)

    await _expect_refused(door, verdict, "verdict_expired")


async def test_a_run_that_was_made_in_time_is_told_however_late(
    door: Entrance,
) -> None:
    verdict = await door.approve("workflow.run", RUN, expires_at=later(door.now, 5))
    first = await door.entry.perform(verdict)
    await door.clock.advance(60)

    again = await door.entry.perform(verdict)

    assert again.replayed
    assert again.result == first.result


async def test_a_verdict_is_honoured_to_the_moment_it_expires(door: Entrance) -> None:
    verdict = await door.approve("workflow.run", RUN, expires_at=later(door.now, 5))
    await door.clock.advance(5)

    assert (await door.entry.perform(verdict)).state == "succeeded"


async def test_a_verdict_from_the_future_is_refused(door: Entrance) -> None:
    verdict = await door.approve("workflow.run", RUN, issued_at=later(door.now, 31))

    await _expect_refused(door, verdict, "verdict_not_yet_valid")


@pytest.mark.parametrize("audience", ["coordinator", "conversation"])
async def test_a_verdict_for_another_agent_is_refused(
    door: Entrance, audience: str
) -> None:
    verdict = await door.approve("workflow.run", RUN, audience=audience)

    await _expect_refused(door, verdict, "verdict_wrong_audience")


async def test_a_verdict_sealed_with_another_key_is_refused(door: Entrance) -> None:
    verdict = await door.approve("workflow.run", RUN)
    fields = verdict.model_dump(exclude={"seal", "key_id", "result"})
    foreign = type(SEALS)({"first": b"t" * 32}, "first").sealed(fields)

    await _expect_refused(door, foreign, "verdict_invalid")


@pytest.mark.parametrize(("scope", "name"), [("tenant", ""), ("workflow", "greet")])
async def test_what_was_frozen_after_the_verdict_is_not_done(
    door: Entrance, scope: Any, name: str
) -> None:
    verdict = await door.approve("workflow.run", RUN)
    await door.store.freezes.set(_freeze(door, scope, name))

    outcome = await door.entry.perform(verdict)

    assert (outcome.state, outcome.error and outcome.error.code) == ("failed", "frozen")
    assert door.worker.started == []
    record = await door.store.decisions.get(TENANT, verdict.decision_id)
    assert record is not None
    assert (record.state, record.outcome) == ("failed", outcome)


async def test_what_is_exempt_from_freezes_is_done_all_the_same(
    door: Entrance,
) -> None:
    await door.store.freezes.set(_freeze(door, "tenant", ""))

    verdict = await door.approve("freeze.clear", {"scope": "tenant", "reason": ""})

    assert (await door.entry.perform(verdict)).state == "succeeded"
    assert await door.store.freezes.of(TENANT) == ()


async def test_a_key_revoked_after_the_verdict_does_nothing_more(
    door: Entrance,
) -> None:
    ada = await door.holder("ada", "operator")
    verdict = await door.approve("workflow.run", RUN, ada)
    await door.store.keys.revoke(TENANT, ada.id, door.now)

    outcome = await door.entry.perform(verdict)

    assert outcome.error is not None
    assert outcome.error.code == "forbidden"
    assert door.worker.started == []


async def test_a_permission_that_the_key_never_had_is_no_permission(
    door: Entrance,
) -> None:
    ada = await door.holder("ada", "viewer")

    outcome = await door.entry.perform(await door.approve("workflow.run", RUN, ada))

    assert outcome.error is not None
    assert outcome.error.code == "forbidden"


async def test_each_use_outside_a_run_leaves_one_effect_row(door: Entrance) -> None:
    verdict = await door.approve("workflow.save", SAVE)

    outcome = await door.another({"workflow.save": Counting()}).perform(verdict)

    row = await door.store.effects.get(TENANT, verdict.decision_id, "0")
    assert row is not None
    assert (row.state, row.verdict_id) == ("succeeded", verdict.id)
    assert row.outcome == outcome


async def test_a_use_that_was_finished_is_finished_again_for_its_decision(
    door: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier, finished = Counting(), list[EffectRow]()
    verdict = await _claimed_elsewhere(door)
    row = await door.store.effects.get(TENANT, verdict.decision_id, "0")
    assert row is not None
    outcome = Outcome(decision_id=verdict.decision_id, state="succeeded")
    done = row.model_copy(update={"state": "succeeded", "outcome": outcome})
    await door.store.effects.finish(done)  # no time, so its decision is not settled

    async def finish(row: EffectRow) -> None:
        finished.append(row)

    monkeypatch.setattr(door.store.effects, "finish", finish)
    told = await door.another({"workflow.save": carrier}).perform(verdict)

    assert (told.replayed, carrier.done) == (True, 0)
    assert finished == [done]


async def test_a_use_that_the_store_cut_off_is_done_again_at_once(
    door: Entrance,
) -> None:
    carrier = Counting(failures=1)
    entry = door.another({"workflow.save": carrier})
    verdict = await door.approve("workflow.save", SAVE)
    with pytest.raises(StoreUnavailable):
        await entry.perform(verdict)

    outcome = await entry.perform(verdict)

    assert (outcome.state, outcome.replayed, carrier.done) == ("succeeded", False, 1)


async def test_a_claim_is_left_alone_while_its_holder_may_live(door: Entrance) -> None:
    carrier = Counting()
    verdict = await _claimed_elsewhere(door)
    await door.clock.advance(12)

    with pytest.raises(TemporaryError) as refused:
        await door.another({"workflow.save": carrier}).perform(verdict)

    assert refused.value.delay == pytest.approx(3)
    assert carrier.done == 0


async def test_an_abandoned_claim_is_carried_out_by_who_comes_next(
    door: Entrance,
) -> None:
    carrier = Counting()
    verdict = await _claimed_elsewhere(door)
    await door.clock.advance(30)

    outcome = await door.another({"workflow.save": carrier}).perform(verdict)

    assert (outcome.state, outcome.replayed, carrier.done) == ("succeeded", False, 1)


async def test_a_claim_made_in_time_is_carried_out_however_late(
    door: Entrance,
) -> None:
    carrier = Counting()
    verdict = await _claimed_elsewhere(door)
    await door.clock.advance(3_600)

    outcome = await door.another({"workflow.save": carrier}).perform(verdict)

    assert (outcome.state, outcome.replayed, carrier.done) == ("succeeded", False, 1)


async def test_who_came_second_tries_again_when_the_first_was_cut_off(
    door: Entrance,
) -> None:
    verdict = await door.approve("workflow.save", SAVE)
    entered = anyio.Event()

    async def hang(_: Use) -> Carried:
        entered.set()
        await anyio.sleep_forever()
        return Carried({})

    entry = door.another({"workflow.save": hang})
    heard: list[TemporaryError] = []

    async def second() -> None:
        with pytest.raises(TemporaryError) as error:
            await entry.perform(verdict)

        heard.append(error.value)

    async with (
        anyio.create_task_group() as others,
        anyio.create_task_group() as first,
    ):
        first.start_soon(entry.perform, verdict)
        await entered.wait()
        others.start_soon(second)
        for _ in range(20):
            await door.store.ping()

        first.cancel_scope.cancel()

    assert len(heard) == 1


async def test_an_action_without_a_carrier_fails_and_says_which(
    door: Entrance,
) -> None:
    verdict = await door.approve("policy.reload", {"revoke": False})

    outcome = await door.entry.perform(verdict)

    assert outcome.error is not None
    assert outcome.error.details == {"missing": ["policy.reload"]}


async def _use(door: Entrance, verdict: Approved, times: int) -> list[Outcome]:
    outcomes: list[Outcome] = []

    async def use() -> None:
        outcomes.append(await door.entry.perform(verdict))

    async with anyio.create_task_group() as users:
        for _ in range(times):
            users.start_soon(use)

    return outcomes


async def _expect_refused(door: Entrance, verdict: Approved, code: str) -> None:
    before = counted("verdicts_refused", code=code)

    with pytest.raises(VerdictRefused) as refused:
        await door.entry.perform(verdict)

    assert refused.value.code == code
    assert counted("verdicts_refused", code=code) == before + 1
    assert door.worker.started == []


async def _claimed_elsewhere(door: Entrance) -> Approved:
    """A verdict whose use began in a process that is gone."""
    verdict = await door.approve("workflow.save", SAVE)
    with pytest.raises(StoreUnavailable):
        await door.another({"workflow.save": Counting(failures=1)}).perform(verdict)

    return verdict


async def _record_asked(door: Entrance, decision: Decision, verdict: Approved) -> None:
    """The record of a decision that asks people, and the approval it opened."""
    asked = Awaiting(
        id=derived_id("vrd", decision.id, "ask"),
        decision_id=decision.id,
        approval_id=derived_id("apr", decision.id),
        rules=("ask-first",),
        approvers=("role:approver",),
        quorum=1,
        issued_at=door.now,
        expires_at=later(door.now, 600),
    )
    approval = Approval(
        id=asked.approval_id,
        tenant=TENANT,
        decision_id=decision.id,
        action=decision.action,
        action_digest=verdict.action_digest,
        args=decision.args,
        plan={},
        pins=verdict.pins,
        rules=asked.rules,
        questions=(),
        proposer=decision.proposer,
        subject=verdict.subject,
        policy_digest="sha256:3",
        asked_at=door.now,
        expires_at=asked.expires_at,
    )
    record = recorded(decision, verdict)
    update = {"verdict": asked, "state": "awaiting"}
    await door.store.decisions.record(record.model_copy(update=update), approval)


def _freeze(door: Entrance, scope: Any, name: str) -> FreezeRow:
    return FreezeRow(
        tenant=TENANT, scope=scope, name=name, reason="", by="sub_eve", at=door.now
    )


def _flipped(verdict: Approved) -> Iterator[Approved]:
    """Every verdict that differs in one bit and still reads as one."""
    raw = verdict.model_dump_json().encode()
    for n in range(len(raw) * 8):
        at, bit = divmod(n, 8)
        altered = bytes([*raw[:at], raw[at] ^ 1 << bit, *raw[at + 1 :]])
        try:
            read = Approved.model_validate_json(altered)
        except ValidationError:
            continue

        if read != verdict:
            yield read


def _other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value

    if isinstance(value, dict):
        return {**value, "another": "sha256:9"}

    if isinstance(value, tuple):
        return (*value, "another")

    if value.endswith("Z"):
        return later(value, 1)

    return new_id(value[:3]) if value[3:4] == "_" else f"{value}0"
