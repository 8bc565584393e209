"""Decisions through the gate: validated, recorded, released; nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agents.coordinator import explain
from agents.coordinator.policy import compile_policy
from contracts import (
    Approved,
    Budget,
    Capabilities,
    JsonObject,
    Outcome,
    Policy,
    Principal,
    Proposer,
    Reservation,
    Rule,
    digest,
    later,
    new_id,
)
from store import DecisionFilter
from tests.support.clock import FakeClock
from tests.support.gatehouse import (
    BOB,
    GREET,
    ROOT,
    SEALS,
    TENANT,
    Gatehouse,
    frozen,
    open_gatehouse,
    person,
    tool,
)

ANYBODY = Principal(
    id="anonymous",
    kind="anonymous",
    subject="anonymous",
    permissions=("workflow.run",),
    tenant=TENANT,
)


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(FakeClock()) as opened:
        await opened.book.enter()
        yield opened


async def test_an_approved_run_reaches_the_workflow_agent_sealed(
    house: Gatehouse,
) -> None:
    head = await house.define("workflow", GREET)

    answer = await house.run_greet()

    await house.until_performing(1)
    approved = answer.approved
    SEALS.check(approved)
    assert house.performing[0].body == approved
    assert approved.audience == "workflow"
    assert approved.pins == {"workflow:greet": head.digest}
    assert approved.rules == ("permitted",)


async def test_a_verdict_ends_with_the_patience_of_the_asker_or_its_own_time(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)

    short = await house.run_greet(not_after=later(house.now, 5))
    long = await house.run_greet(not_after=later(house.now, 9_000))

    assert short.approved.expires_at == later(house.now, 5)
    assert long.approved.expires_at == later(house.now, 300)


async def test_the_record_holds_all_that_was_known_and_said(house: Gatehouse) -> None:
    await house.define("workflow", GREET)

    answer = await house.run_greet()

    record = await house.record(answer.approved.decision_id)
    plain = record.decision.plain()
    del plain["not_after"]
    action = {"action": "workflow.run", "args": record.decision.args}
    assert record.verdict == answer.approved
    assert record.decision_digest == digest(plain) == answer.approved.decision_digest
    assert record.action_digest == digest({**action, "pins": answer.approved.pins})
    assert record.policy_digest == house.book.current.digest
    assert record.facts["time"]["weekday"] == 6
    assert record.facts["grants"] == []
    assert (record.plan["risk"], record.plan["version"]) == ("low", 1)
    assert record.state == "approved"


async def test_reply_and_verdict_carry_the_chain_of_the_question(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)

    answer = await house.run_greet()

    await house.until_performing(1)
    (reply,), (verdict,) = answer.envelopes, house.performing
    record = await house.record(answer.approved.decision_id)
    for envelope in (reply, verdict):
        assert envelope.in_reply_to == envelope.causation_id == record.message_id
        assert envelope.correlation_id == record.correlation_id
    assert verdict.reply_to == house.bus.address == record.reply_to


@pytest.mark.parametrize(
    ("action", "args", "code"),
    [
        ("workflow.run", {"input": {}}, "invalid"),
        ("workflow.run", {"workflow": "greet", "flow": "chat"}, "invalid"),
        ("workflow.run", {"workflow": "greet", "inptu": {}}, "unknown_field"),
        ("workflow.run", {"workflow": "nowhere"}, "not_found"),
        ("workflow.run", {"workflow": "greet", "version": 7}, "not_found"),
        ("workflow.run", {"workflow": "greet", "input": {}}, "input_invalid"),
        ("workflow.delete", {"name": "nowhere"}, "not_found"),
        ("tool.call", {"tool": "nowhere"}, "tool_not_found"),
        ("tool.call", {"tool": "pay", "input": {"amount": "x"}}, "input_invalid"),
        ("run.cancel", {"run_id": new_id("run")}, "not_found"),
        ("run.resume", {"run_id": "run_1"}, "invalid_id"),
        ("key.create", {"subject": "x", "roles": ["king"]}, "invalid"),
        ("freeze.set", {"scope": "tool"}, "invalid"),
        ("freeze.set", {"scope": "tenant", "name": "x"}, "invalid"),
    ],
)
async def test_what_is_not_valid_is_refused_with_its_code(
    house: Gatehouse, action: str, args: JsonObject, code: str
) -> None:
    await house.define("workflow", GREET)
    await house.define("tool", tool())

    answer = await house.propose(action, args, ROOT)

    assert answer.refused.code == code
    assert answer.refused.rules == ()
    assert (await house.record(answer.refused.decision_id)).state == "refused"
    assert house.performing == []


async def test_an_input_is_judged_with_the_place_of_every_problem(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)

    answer = await house.propose(
        "workflow.run", {"workflow": "greet", "input": {"name": 7}}
    )

    (problem,) = answer.refused.details["problems"]
    assert problem["pointer"] == "/input/name"


async def test_a_missing_tool_is_named_by_its_id(house: Gatehouse) -> None:
    answer = await house.propose("tool.call", {"tool": "nowhere"})

    assert answer.refused.details == {"missing_tool_id": "nowhere"}


@pytest.mark.parametrize(
    ("action", "args"),
    [
        ("workflow.run", {"workflow": "greet"}),
        ("workflow.save", {"definition": GREET}),
        ("key.create", {"subject": "x", "roles": ["admin"]}),
        ("approval.grant", {"approval_id": new_id("apr")}),
    ],
)
async def test_nobody_may_what_their_permissions_do_not_allow(
    house: Gatehouse, action: str, args: JsonObject
) -> None:
    viewer = person("vic", "viewer")

    answer = await house.propose(action, args, viewer)

    assert answer.refused.code == "forbidden"


async def test_an_admin_may_not_vote(house: Gatehouse) -> None:
    answer = await house.vote(new_id("apr"), ROOT)

    assert answer.refused.code == "forbidden"


async def test_a_saved_workflow_is_refused_with_every_problem_at_once(
    house: Gatehouse,
) -> None:
    await house.define("tool", tool("pays"))
    broken = {
        "name": "broken",
        "nodes": [
            {"id": "start", "type": "workflow_start"},
            {"id": "pay", "type": "tool", "tool": "pay"},
            {"id": "end", "type": "workflow_end", "output": {"x": "${nobody.y}"}},
        ],
        "edges": [{"from": "start", "to": "pay"}, {"from": "pay", "to": "end"}],
    }

    answer = await house.propose("workflow.save", {"definition": broken})

    codes = [problem["code"] for problem in answer.refused.details["problems"]]
    assert {"unknown_tool", "cel_unknown_name"} <= set(codes)
    assert answer.refused.details["missing"] == ["tool:pay"]
    assert "Did you mean pays?" in answer.refused.message


async def test_a_sound_workflow_may_be_saved(house: Gatehouse) -> None:
    answer = await house.propose("workflow.save", {"definition": GREET})

    assert answer.approved.pins == {}
    record = await house.record(answer.approved.decision_id)
    assert record.plan["workflow"] == "greet"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"input_schema": {"type": "nothing"}}, "schema_invalid"),
        ({"kind": "http"}, "invalid"),
        ({"kind": "http", "http": {"url": "ftp://x.example/"}}, "scheme_not_allowed"),
        ({"kind": "http", "http": {"url": "https://${input.x}/"}}, "invalid_url"),
        ({"colour": "red"}, "unknown_field"),
    ],
)
async def test_a_tool_that_cannot_work_is_not_saved(
    house: Gatehouse, more: JsonObject, code: str
) -> None:
    answer = await house.propose("tool.save", {"definition": tool(**more)})

    assert answer.refused.code == code


async def test_a_frozen_tenant_does_nothing_but_thaw_and_cancel(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    await house.store.freezes.set(frozen())

    ran = await house.run_greet()
    thawed = await house.propose("freeze.clear", {"scope": "tenant"}, ROOT)
    revoked = await house.propose("key.revoke", {"id": "key_x"}, ROOT)

    assert ran.refused.code == "frozen"
    assert "Fire." in ran.refused.message
    assert thawed.verdict.result == revoked.verdict.result == "approved"


async def test_a_freeze_stops_its_tool_and_its_workflow_only(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    await house.define("tool", tool(risk="low"))
    await house.store.freezes.set(frozen("tool", "pay"))
    await house.store.freezes.set(frozen("workflow", "other"))

    call = {"tool": "pay", "input": {"amount": 1}}
    called = await house.propose("tool.call", call)

    assert called.refused.details["scope"] == "tool"
    assert (await house.run_greet()).verdict.result == "approved"


async def test_freezes_hold_in_every_mode(house: Gatehouse) -> None:
    house.policy = Policy(mode="audit")
    await house.book.reload()
    await house.define("workflow", GREET)
    await house.store.freezes.set(frozen("workflow", "greet"))

    assert (await house.run_greet()).refused.code == "frozen"


async def test_audit_lets_pass_and_marks_what_it_would_have_refused(
    house: Gatehouse,
) -> None:
    house.policy = Policy(mode="audit")
    await house.book.reload()
    await house.define("workflow", GREET)

    answer = await house.run_greet()

    assert answer.approved.would_refuse
    SEALS.check(answer.approved)


async def test_a_python_tool_needs_a_live_worker_that_has_it(
    house: Gatehouse,
) -> None:
    await house.define("tool", tool(kind="python", function="bank:pay", risk="low"))
    call = {"tool": "pay", "input": {"amount": 1}}

    before = await house.propose("tool.call", call)
    await house.store.workers.heartbeat(
        Capabilities(
            worker="w1",
            python_tools=("bank:pay",),
            started_at=house.now,
            seen_at=house.now,
        )
    )
    await house.clock.advance(2)
    after = await house.propose("tool.call", call)
    await house.clock.advance(60)
    gone = await house.propose("tool.call", call)

    assert before.refused.code == "dependency_unavailable"
    assert before.refused.details == {"missing": ["bank:pay"]}
    assert after.verdict.result == "approved"
    assert gone.refused.code == "dependency_unavailable"


async def test_a_budget_with_nothing_left_refuses_in_every_mode(
    house: Gatehouse,
) -> None:
    budget = Budget(scope="tenant", meter="runs", window="day", limit=1)
    house.policy = Policy(mode="audit", budgets=(budget,))
    await house.book.reload()
    await house.define("workflow", GREET)

    first = await house.run_greet()
    used = Reservation(
        id="r1",
        tenant=TENANT,
        scope="tenant",
        scope_id=TENANT,
        meter="runs",
        window=budget.window_at(house.now),
        limit=1,
        amount=1,
    )
    await house.store.budgets.reserve((used,))
    second = await house.run_greet()

    assert first.verdict.result == "approved"
    assert second.refused.code == "budget_exceeded"
    assert second.refused.details["used"] == 1


async def test_rules_read_what_is_used_and_what_was_done(house: Gatehouse) -> None:
    budget = Budget(scope="subject", meter="runs", window="hour", limit=9)
    when = "facts.usage.subject.runs.hour == 0.0 && size(facts.history) == 1"
    house.policy = Policy(
        rules=(Rule(id="second", when=when, then="allow"),), budgets=(budget,)
    )
    await house.book.reload()
    await house.define("workflow", GREET)
    chat = new_id("cnv")

    first = await house.run_greet(conversation_id=chat)
    second = await house.run_greet(conversation_id=chat)

    assert first.refused.rules == ("default",)
    assert second.approved.rules == ("second",)


async def test_anonymous_callers_run_what_is_published_and_nothing_else(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    draft = await house.run_greet(ANYBODY)
    await house.define("workflow", GREET, published_version=2)
    published = await house.run_greet(ANYBODY)
    called = await house.propose("tool.call", {"tool": "pay"}, ANYBODY)

    assert draft.refused.rules == ("default",)
    assert published.approved.rules == ("published-endpoints-may-run",)
    assert called.refused.code == "forbidden"


async def test_a_dry_run_tells_everything_and_leaves_one_row(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)

    answer = await house.run_greet(dry_run=True)

    record = await house.record(answer.approved.decision_id)
    assert answer.approved.seal == ""
    assert answer.outcome.result["plan"]["workflow"] == "greet"
    assert record.state == "dry_run"
    assert house.performing == []


async def test_a_dry_run_that_would_ask_opens_no_approval(house: Gatehouse) -> None:
    await house.define("tool", tool())
    call = {"tool": "pay", "input": {"amount": 1}}

    answer = await house.propose("tool.call", call, dry_run=True)

    assert answer.awaiting.rules == ("high-risk-needs-a-person",)
    page = await house.store.approvals.page(TENANT, state=None, limit=9)
    assert page.items == ()


async def test_a_dry_vote_changes_nothing(house: Gatehouse) -> None:
    await house.define("tool", tool())
    call = {"tool": "pay", "input": {"amount": 1}}
    asked = (await house.propose("tool.call", call)).awaiting
    vote = {"approval_id": asked.approval_id}

    answer = await house.propose("approval.grant", vote, BOB, dry_run=True)

    assert answer.approved.seal == ""
    assert (await house.approval(asked.approval_id)).votes == ()
    assert house.performing == []


async def test_a_turn_is_addressed_to_the_conversation_within_limits(
    house: Gatehouse,
) -> None:
    turn = {"conversation_id": new_id("cnv"), "inbox_id": "1"}

    answer = await house.propose("conversation.turn", turn)

    assert answer.approved.audience == "conversation"
    assert answer.approved.limits == house.settings.turn_limits
    assert all(type(limit) is int for limit in answer.approved.limits.values())


async def test_a_message_to_another_channel_asks_a_person(house: Gatehouse) -> None:
    message = {"channel": "telegram", "address": "12345", "text": "Hello."}

    answer = await house.propose("message.send", message)

    assert answer.awaiting.rules == ("other-channels-need-a-person",)


async def test_a_recorded_decision_is_explained_rule_by_rule(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    record = await house.record((await house.run_greet()).approved.decision_id)

    told = explain(record, house.book.current)
    later_policy = explain(record, compile_policy(Policy()))

    states = {story["id"]: story["state"] for story in told["stories"]}
    assert states["permitted"] == "matched"
    assert states["high-risk-needs-a-person"] == "not_matched"
    assert (told["result"], told["same_policy"]) == ("approved", True)
    assert "seal" not in told["verdict"]
    assert (later_policy["result"], later_policy["same_policy"]) == ("refused", False)


async def test_what_no_rule_was_asked_about_is_explained_by_its_code(
    house: Gatehouse,
) -> None:
    record = await house.record((await house.run_greet()).refused.decision_id)

    told = explain(record, house.book.current)

    assert (told["result"], told["code"]) == ("refused", "not_found")
    assert told["stories"] == ()


async def test_a_decision_delivered_again_gets_the_recorded_verdict(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    decision = house.decision(
        "workflow.run", {"workflow": "greet", "input": {"name": "Ada"}}
    )

    first = await house.ask(decision)
    await house.define("workflow", {**GREET, "description": "changed"})
    await house.clock.advance(1)
    again = await house.ask(decision)

    assert again.verdict == first.verdict
    page = await house.store.decisions.page(TENANT, DecisionFilter(), limit=9)
    assert len(page.items) == 1


async def test_a_decision_is_never_approved_after_a_late_second_delivery(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    decision = house.decision(
        "workflow.run", {"workflow": "greet", "input": {"name": "Ada"}}
    )
    await house.clock.advance(6)

    late = await house.ask(decision)
    again = await house.ask(decision.model_copy(update={"not_after": "9999"}))

    assert late.refused.code == "gate_unavailable"
    assert again.refused == late.refused


async def test_an_id_that_comes_back_with_other_arguments_is_a_conflict(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    decision = house.decision(
        "workflow.run", {"workflow": "greet", "input": {"name": "Ada"}}
    )
    first = await house.ask(decision)

    for other in (
        {"args": {"workflow": "greet", "input": {"name": "Eve"}}},
        {"principal": BOB},
        {"dry_run": True},
    ):
        answer = await house.ask(decision.model_copy(update=other))
        assert answer.refused.code == "decision_conflict"

    record = await house.record(decision.id)
    assert record.verdict == first.verdict
    assert len(house.performing) == 1


async def test_who_asks_again_after_the_end_hears_the_outcome_again(
    house: Gatehouse,
) -> None:
    await house.define("workflow", GREET)
    decision = house.decision(
        "workflow.run", {"workflow": "greet", "input": {"name": "Ada"}}
    )
    first = await house.ask(decision)
    await house.until_performing(1)
    record = await house.record(decision.id)
    ended = Outcome(decision_id=record.id, state="succeeded", result={"run_id": "r"})
    await house.store.decisions.settle(TENANT, record.id, ended, house.now)

    replies = await house.bus.ask(
        house.envelope(decision),
        timeout_s=5,
        until=lambda reply: reply.kind == "outcome",
    )

    assert replies[0].body == first.verdict
    assert replies[-1].body == ended.model_copy(update={"replayed": True})
    assert len(house.performing) == 1


async def test_a_message_that_crosses_tenants_is_a_dead_letter(
    house: Gatehouse,
) -> None:
    decision = house.decision("workflow.run", {"workflow": "greet"})
    envelope = house.envelope(decision).model_copy(update={"tenant": "other"})

    await house.bus.publish(envelope)
    await house.clock.advance(1)

    (letter,) = await house.bus.dead_letters()
    assert "crosses tenants" in letter.reason
    assert await house.store.decisions.get(TENANT, decision.id) is None


async def test_a_system_proposal_is_judged_like_any_other(house: Gatehouse) -> None:
    await house.define("workflow", GREET)

    answer = await house.run_greet(
        proposer=Proposer(kind="system", id="on_failure"), run_id=new_id("run")
    )

    assert isinstance(answer.verdict, Approved)
