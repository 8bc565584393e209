"""The sweep ends what waited too long and releases what nobody performed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from structlog.testing import capture_logs

from contracts import (
    Awaiting,
    EffectRow,
    Envelope,
    JsonObject,
    Outcome,
    Proposer,
    derived_id,
    later,
    new_id,
    read,
)
from tests.support.clock import FakeClock
from tests.support.gatehouse import (
    BOB,
    GREET,
    TENANT,
    Gatehouse,
    open_gatehouse,
    paying,
    tool,
)
from tests.support.polling import until
from tests.support.stored import run
from tests.support.talks import conversation

CALL: JsonObject = {"tool": "pay", "input": {"amount": 1}}
DAY_S = 86_400


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(FakeClock()) as opened:
        await opened.define("workflow", GREET)
        await opened.define("tool", tool())
        yield opened


async def test_an_approval_nobody_answers_expires_with_its_decision(
    house: Gatehouse,
) -> None:
    asked = (await house.propose("tool.call", CALL)).awaiting

    await house.clock.advance(DAY_S - 1)
    await house.agent.sweep()
    before = await house.approval(asked.approval_id)
    await house.clock.advance(1)
    await house.agent.sweep()

    record = await house.record(asked.decision_id)
    after = await house.approval(asked.approval_id)
    assert (before.state, after.state) == ("waiting", "expired")
    assert after.decided_at == house.now
    assert record.state == "expired"
    assert record.outcome == Outcome(decision_id=record.id, state="expired")


async def test_a_run_is_told_that_its_question_expired(house: Gatehouse) -> None:
    run = await house.run_of(paying(), tool())
    asked = await house.in_run(run, "tool.call", {**CALL, "node_id": "pay"})

    await house.clock.advance(DAY_S)
    await house.agent.sweep()

    item = (await house.store.runs.drain(TENANT, run.id))[-1]
    assert item.kind == "outcome"
    assert read(Outcome, item.body).state == "expired"
    assert read(Outcome, item.body).decision_id == asked.decision_id


async def test_who_proposes_an_expired_decision_again_hears_of_it(
    house: Gatehouse,
) -> None:
    decision = house.decision("tool.call", CALL)
    await house.ask(decision)
    await house.clock.advance(DAY_S)
    await house.agent.sweep()

    replies = await house.bus.ask(
        house.envelope(decision),
        timeout_s=5,
        until=lambda reply: reply.kind == "outcome",
    )

    assert isinstance(replies[-1].body, Outcome)
    assert replies[-1].body.state == "expired"


async def test_a_verdict_nobody_performed_is_released_again(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet(not_after=later(house.now, 300))
    await house.until_performing(1)

    await house.clock.advance(9)
    await house.agent.sweep()
    in_grace = len(house.performing)
    await house.clock.advance(2)
    await house.agent.sweep()

    await house.until_performing(2)
    assert in_grace == 1
    assert house.performing[1].body == answer.approved


async def test_a_bus_with_a_backlog_of_verdicts_is_not_given_more(
    house: Gatehouse,
) -> None:
    hold = anyio.Event()

    async def wait(_: Envelope) -> None:
        await hold.wait()

    house.bus.subscribe("verdict", "conversation", wait)
    for _ in range(110):
        await house.run_greet(not_after=later(house.now, 300))
    await house.until_performing(110)

    await house.clock.advance(20)
    await house.agent.sweep()
    held = len(house.performing)
    hold.set()
    with anyio.fail_after(5):
        while (await house.bus.groups())["verdict/conversation"].waiting:
            await anyio.lowlevel.checkpoint()

    await house.agent.sweep()

    await house.until_performing(220)
    assert held == 110


async def test_a_verdict_people_led_to_is_released_again_too(
    house: Gatehouse,
) -> None:
    asked = (await house.propose("tool.call", CALL)).awaiting
    await house.clock.advance(3_600)
    await house.vote(asked.approval_id)
    await house.agent.sweep()
    await house.until_performing(1)

    await house.clock.advance(20)
    await house.agent.sweep()

    await house.until_performing(2)
    verdict = (await house.approval(asked.approval_id)).verdict
    assert house.performing[1].body == verdict


async def test_a_verdict_long_past_its_end_expires_with_its_decision(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet()

    await house.clock.advance(70)
    await house.agent.sweep()
    await house.agent.sweep()

    record = await house.record(answer.approved.decision_id)
    assert record.state == "expired"


async def test_an_effect_that_began_in_time_is_ended_however_late(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet()
    approved = answer.approved
    await house.store.effects.consume(
        EffectRow(
            decision_id=approved.decision_id,
            index="0",
            tenant=TENANT,
            verdict_id=approved.id,
            action="workflow.run",
            state="claimed",
            claimed_at=house.now,
            token="t",
        )
    )

    await house.clock.advance(3_600)
    await house.agent.sweep()

    await house.until_performing(2)
    assert (await house.record(approved.decision_id)).state == "approved"


async def test_a_run_that_was_made_in_time_is_told_however_late(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet()
    run_id = derived_id("run", answer.approved.decision_id, "0")
    made = run(id=run_id, decision_id=new_id("dec"), tenant=TENANT)
    await house.store.runs.create(made)

    await house.clock.advance(3_600)
    await house.agent.sweep()

    await house.until_performing(2)
    assert (await house.record(answer.approved.decision_id)).state == "approved"


async def test_a_start_releases_at_once_what_was_cut_off_before(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet()
    await house.until_performing(1)
    await house.clock.advance(1)

    await house.coordinator(house.store).take_over()

    await house.until_performing(2)
    assert house.performing[1].body == answer.approved


async def test_a_call_of_an_open_run_is_the_runs_to_end(house: Gatehouse) -> None:
    run = await house.run_of(paying(), tool(risk="medium"))
    verdict = await house.in_run(run, "tool.call", {**CALL, "node_id": "pay"})

    await house.clock.advance(3_600)
    await house.agent.sweep()

    assert (await house.record(verdict.decision_id)).state == "approved"
    assert len(await house.verdicts_of(run)) == 1


async def test_a_run_that_has_its_verdict_is_not_told_again(
    house: Gatehouse,
) -> None:
    run = await house.run_of(paying(), tool(risk="medium"))
    await house.in_run(run, "tool.call", {**CALL, "node_id": "pay"})
    await house.clock.advance(20)

    with capture_logs() as lines:
        await house.agent.sweep()

    assert lines == []


async def test_a_conversation_that_has_its_verdict_is_not_told_again(
    house: Gatehouse,
) -> None:
    row = conversation()
    await house.store.conversations.create(row)
    await house.propose(
        "conversation.turn",
        {"conversation_id": row.id, "inbox_id": "said:1"},
        proposer=Proposer(kind="agent", id="conversation"),
        conversation_id=row.id,
    )

    async def has_mail() -> bool:
        return bool(await house.store.conversations.drain(row.tenant, row.id))

    assert await until(has_mail, within_s=5)
    await house.clock.advance(20)

    with capture_logs() as lines:
        await house.agent.sweep()

    assert "sweep.found" not in {line["event"] for line in lines}
    [item] = await house.store.conversations.drain(row.tenant, row.id)
    assert item.kind == "verdict"


async def test_what_an_earlier_process_left_is_released_at_the_start(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet(not_after=later(house.now, 300))
    await house.until_performing(1)
    await house.clock.advance(1)

    await house.coordinator(house.store).take_over()

    await house.until_performing(2)
    assert house.performing[1].body == answer.approved


async def test_a_vote_that_was_cut_off_is_carried_out_by_the_sweep(
    house: Gatehouse,
) -> None:
    asked = (await house.propose("tool.call", CALL)).awaiting
    vote = house.decision(
        "approval.grant",
        {"approval_id": asked.approval_id},
        BOB,
        not_after=later(house.now, 300),
    )
    ruling = await house.agent._gate.hear(vote)
    await house.agent._recorded(ruling, house.envelope(vote))

    await house.clock.advance(20)
    await house.agent.sweep()

    await house.until_performing(1)
    assert (await house.record(vote.id)).state == "done"
    assert (await house.approval(asked.approval_id)).state == "approved"


async def test_two_coordinators_sweep_side_by_side(house: Gatehouse) -> None:
    asked = (await house.propose("tool.call", CALL)).awaiting
    other = house.coordinator(house.store)
    await house.clock.advance(DAY_S)

    await house.agent.sweep()
    await other.sweep()

    assert (await house.approval(asked.approval_id)).revision == 2


async def test_who_expires_what_was_carried_out_that_moment_tells_what_stays(
    house: Gatehouse,
) -> None:
    answer = await house.run_greet(not_after=later(house.now, 300))
    record = await house.record(answer.approved.decision_id)
    run = {"run_id": "run_that_was_made"}
    done = Outcome(decision_id=record.id, state="succeeded", result=run)
    await house.store.decisions.settle(TENANT, record.id, done, house.now)

    await house.agent._docket.expire(record)

    stored = await house.store.decisions.get(TENANT, record.id)
    assert stored is not None
    assert (stored.state, stored.outcome) == ("done", done)


@pytest.mark.parametrize("grant", [True, False])
async def test_a_vote_that_counted_before_a_crash_is_told_to_the_run_that_asked(
    house: Gatehouse, monkeypatch: pytest.MonkeyPatch, *, grant: bool
) -> None:
    run = await house.run_of(paying(), tool(risk="high"))
    asked = house.decision(
        "tool.call",
        {**CALL, "node_id": "pay"},
        proposer=Proposer(kind="run", id=run.id),
        run_id=run.id,
    )
    await house.agent.on_decision(asked, house.envelope(asked))
    (question,) = await house.verdicts_of(run)
    assert isinstance(question, Awaiting)
    action = "approval.grant" if grant else "approval.refuse"
    vote = house.decision(action, {"approval_id": question.approval_id}, BOB)

    with monkeypatch.context() as crashing:
        voting = house.agent._docket._voting
        crashing.setattr(voting, "_release", _crash)
        with pytest.raises(ZeroDivisionError):
            await house.agent.on_decision(vote, house.envelope(vote))

    await house.clock.advance(90)
    await house.agent.take_over()

    _, verdict = await house.verdicts_of(run)
    settled = await house.record(vote.id)
    assert verdict.result == ("approved" if grant else "refused")
    assert settled.state == "done"


async def _crash(_: object) -> None:
    raise ZeroDivisionError
