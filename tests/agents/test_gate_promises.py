"""The gate's promises: no record, no verdict; closed when in doubt; garbage refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import Activation
from agents.coordinator import CoordinatorAgent
from contracts import (
    ACTIONS,
    Approved,
    JsonObject,
    Policy,
    Refused,
    Rule,
    StoreUnavailable,
    TemporaryError,
)
from store import Chances, Faults, FaultyStore
from tests.support.clock import FakeClock
from tests.support.gatehouse import (
    BOB,
    GREET,
    ROOT,
    TENANT,
    Gatehouse,
    open_gatehouse,
    person,
    tool,
)

CALL: JsonObject = {"tool": "pay", "input": {"amount": 1}}
RUN: JsonObject = {"workflow": "greet", "input": {"name": "Ada"}}
KINDS: list[Any] = ["unavailable", "timeout", "execute_and_timeout"]


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(FakeClock()) as opened:
        await opened.define("workflow", GREET)
        await opened.define("tool", tool())
        yield opened


def faulty(house: Gatehouse, faults: Faults) -> CoordinatorAgent:
    """A coordinator whose store fails as told."""
    return house.coordinator(FaultyStore(house.store, faults))


@pytest.mark.parametrize("kind", KINDS)
async def test_no_record_no_verdict(house: Gatehouse, kind: Any) -> None:
    faults = Faults()
    agent = faulty(house, faults)
    decision = house.decision("workflow.run", RUN)
    envelope = house.envelope(decision, reply_to=house.bus.address)
    faults.next("decisions.record", kind)

    with pytest.raises(StoreUnavailable):
        await agent.on_decision(decision, envelope)

    assert house.performing == []
    recorded = await house.store.decisions.get(TENANT, decision.id)
    assert (recorded is not None) == (kind == "execute_and_timeout")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delivery_after_the_fault_releases_what_was_recorded_once(
    house: Gatehouse, kind: Any
) -> None:
    faults = Faults()
    agent = faulty(house, faults)
    decision = house.decision("workflow.run", RUN)
    envelope = house.envelope(decision)
    faults.next("decisions.record", kind)

    with pytest.raises(StoreUnavailable):
        await agent.on_decision(decision, envelope)

    await house.clock.advance(1)
    await agent.on_decision(decision, envelope)

    await house.until_performing(1)
    record = await house.record(decision.id)
    assert house.performing[0].body == record.verdict


@pytest.mark.parametrize(
    "verb", ["freezes.of", "definitions.head", "decisions.record", "approvals.change"]
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_vote_through_any_fault_decides_once(
    house: Gatehouse, verb: str, kind: Any
) -> None:
    faults = Faults()
    agent = faulty(house, faults)
    approval_id = (await house.propose("tool.call", CALL)).awaiting.approval_id
    vote = house.decision("approval.grant", {"approval_id": approval_id}, BOB)
    envelope = house.envelope(vote)
    faults.next(verb, kind)

    with pytest.raises(TemporaryError):
        await agent.on_decision(vote, envelope)

    await agent.on_decision(vote, envelope)

    approval = await house.approval(approval_id)
    record = await house.record(vote.id)
    assert approval.state == "approved"
    assert len(approval.votes) == 1
    assert record.state == "done"
    await house.until_performing(1)
    assert all(envelope.body == approval.verdict for envelope in house.performing)


async def test_a_thousand_faults_never_let_a_verdict_out_unrecorded(
    house: Gatehouse,
) -> None:
    faults = Faults(7, {"decisions.record": Chances(0.2, 0.2, 0.2)})
    agent = faulty(house, faults)
    asked = 0
    while sum(faults.happened.values()) < 1_000:
        asked += 1
        decision = house.decision("workflow.run", RUN)
        try:
            await agent.on_decision(decision, house.envelope(decision))
        except StoreUnavailable:
            continue

    for envelope in house.performing:
        assert isinstance(envelope.body, Approved)
        record = await house.store.decisions.get(TENANT, envelope.body.decision_id)
        assert record is not None
        assert record.verdict == envelope.body

    assert asked > 1_000


async def test_a_policy_that_cannot_be_judged_refuses(house: Gatehouse) -> None:
    broken = Rule(id="broken", when="decision.args.nowhere > 1", then="allow")
    house.policy = Policy(rules=(broken,), default="allow")
    await house.book.reload()

    assert (await house.run_greet()).refused.rules == ("broken",)


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_every_action_needs_its_permission(house: Gatehouse, action: str) -> None:
    nobody = person("nobody")
    args = _ARGS.get(action, {"id": "x"})

    answer = await house.propose(action, args, nobody)

    assert answer.refused.code == "forbidden"
    assert answer.refused.details["permission"] == ACTIONS[action].permission


_ID = "run_01m7y8tp52e45tsgz8hqhs74tc"
_CHAT: JsonObject = {"conversation_id": _ID}
_NAME: JsonObject = {"name": "x"}
_DEFINITION: JsonObject = {"definition": {}}
_ARGS: dict[str, JsonObject] = {
    **{f"{kind}.save": _DEFINITION for kind in ("workflow", "tool", "stage", "node")},
    **{f"{kind}.save": _DEFINITION for kind in ("flow", "knowledge")},
    **{f"{kind}.delete": _NAME for kind in ("workflow", "tool", "stage", "node")},
    **{f"{kind}.delete": _NAME for kind in ("flow", "knowledge")},
    "conversation.turn": {**_CHAT, "inbox_id": "x"},
    "conversation.create": {},
    "conversation.bind": _CHAT,
    "conversation.unbind": _CHAT,
    "workflow.run": RUN,
    "workflow.publish": _NAME,
    "workflow.unpublish": _NAME,
    "workflow.import": {"upload_id": "x", "digest": "x"},
    "workflow.author": {"mode": "create", "message_len": 3},
    "tool.call": CALL,
    "message.send": {"channel": "http", "address": "x", "text": "x"},
    **{
        f"run.{verb}": {"run_id": _ID} for verb in ("cancel", "resume", "retry", "hold")
    },
    "run.signal": {"run_id": _ID, "name": "x"},
    "approval.request": {"run_id": _ID, "node_id": "x"},
    "approval.grant": {"approval_id": _ID},
    "approval.refuse": {"approval_id": _ID},
    "allowance.grant": {"until": "2026-11-21T00:00:00.000Z"},
    "freeze.set": {},
    "freeze.clear": {},
    "batch.create": {"workflow": "x"},
    "key.create": {"subject": "x", "roles": ["viewer"]},
    "bridge.pair": {"owner": "x"},
    "policy.reload": {},
}

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
_GARBAGE = st.dictionaries(
    st.sampled_from(
        ["workflow", "input", "tool", "definition", "approval_id", "run_id", "name"]
    )
    | st.text(max_size=12),
    _JSON,
    max_size=5,
)


@given(action=st.sampled_from(sorted(ACTIONS)), args=_GARBAGE)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_garbage_is_refused_or_judged_but_never_breaks_the_gate(
    action: str, args: JsonObject
) -> None:
    async with open_gatehouse(FakeClock()) as house:
        decision = house.decision("conversation.create", {}, ROOT).model_copy(
            update={"action": action, "args": args}
        )
        answer = await house.ask(decision)

    assert isinstance(answer.verdict, Refused | Approved)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**60])
async def test_what_json_cannot_say_exactly_gets_no_verdict(
    house: Gatehouse, number: Any
) -> None:
    args = {"workflow": "greet", "input": {"name": number}}
    decision = house.decision("workflow.run", RUN).model_copy(update={"args": args})

    await house.bus.publish(house.envelope(decision))
    with anyio.fail_after(5):
        while not await house.bus.dead_letters():
            await checkpoint()

    assert len(await house.bus.dead_letters()) == 1
    assert await house.store.decisions.get(TENANT, decision.id) is None
    assert house.performing == []


async def test_a_coordinator_that_comes_back_late_approves_nothing(
    house: Gatehouse,
) -> None:
    late = [house.decision("workflow.run", RUN) for _ in range(50)]
    envelopes = [house.envelope(decision) for decision in late]
    await house.clock.advance(10)

    for decision, envelope in zip(late, envelopes, strict=True):
        await house.agent.on_decision(decision, envelope)

    states = {(await house.record(decision.id)).state for decision in late}
    assert states == {"refused"}
    assert house.performing == []


async def test_the_limit_of_the_message_counts_like_the_limit_of_the_decision(
    house: Gatehouse,
) -> None:
    decision = house.decision("workflow.run", RUN, not_after="2027-01-01T00:00:00.000Z")
    envelope = house.envelope(decision, not_after=house.now)
    await house.clock.advance(1)

    await house.agent.on_decision(decision, envelope)

    assert (await house.record(decision.id)).state == "refused"


async def test_two_coordinators_that_judge_one_decision_release_one_verdict(
    house: Gatehouse,
) -> None:
    other = house.coordinator(house.store)
    async with Activation(house.bus, house.clock, name="other", ears=other.ears()):
        decision = house.decision("workflow.run", RUN)
        envelope = house.envelope(decision)
        await house.agent.on_decision(decision, envelope)
        await house.clock.advance(1)
        await other.on_decision(decision, envelope)

    await house.until_performing(2)
    first, second = (e.body for e in house.performing)
    assert first == second
