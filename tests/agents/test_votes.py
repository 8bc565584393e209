"""Approvals: asked once, voted on by the right people, decided once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from contracts import Approved, AskTerms, JsonObject, Policy, Refused, Rule, later
from tests.support.clock import FakeClock
from tests.support.gatehouse import (
    ADA,
    BOB,
    EVE,
    SEALS,
    TENANT,
    Answer,
    Gatehouse,
    frozen,
    open_gatehouse,
    person,
    tool,
)

CALL: JsonObject = {"tool": "pay", "input": {"amount": 1}}


@pytest.fixture
async def house() -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(FakeClock()) as opened:
        await opened.define("tool", tool())
        yield opened


async def ask_to_pay(house: Gatehouse, **more: Any) -> str:
    """Propose a risky call; the id of the approval it waits for."""
    return (await house.propose("tool.call", CALL, **more)).awaiting.approval_id


async def asking(house: Gatehouse, **terms: Any) -> None:
    """Let one rule ask about every call, on these terms."""
    when = "decision.action == 'tool.call'"
    ask = Rule(id="ask-it", when=when, then="ask", ask=AskTerms(**terms))
    vote = "decision.action.startsWith('approval.')"
    house.policy = Policy(rules=(ask, Rule(id="votes", when=vote, then="allow")))
    await house.book.reload()


def fault_of(answer: Answer) -> str:
    error = answer.outcome.error
    assert error is not None
    return error.code


async def test_a_risky_call_waits_with_all_an_approver_must_see(
    house: Gatehouse,
) -> None:
    answer = await house.propose("tool.call", CALL, reason="Rent.")

    asked = answer.awaiting
    approval = await house.approval(asked.approval_id)
    head = await house.store.definitions.head(TENANT, "tool", "pay")
    assert head is not None
    assert (approval.action, approval.args) == ("tool.call", CALL)
    assert approval.pins == {"tool:pay": head.digest}
    assert approval.plan["risk"] == "high"
    assert approval.rules == asked.rules == ("high-risk-needs-a-person",)
    assert approval.subject == "sub_ada"
    assert approval.expires_at == asked.expires_at == later(house.now, 86_400)
    assert (await house.record(asked.decision_id)).state == "awaiting"
    assert house.performing == []


async def test_one_grant_seals_and_releases_the_verdict(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house)
    await house.clock.advance(3_600)

    answer = await house.vote(approval_id)

    await house.until_performing(1)
    approval = await house.approval(approval_id)
    approved = house.performing[0].body
    assert answer.outcome.result == {
        "approval_id": approval_id,
        "decision_id": approval.decision_id,
        "state": "approved",
    }
    assert isinstance(approved, Approved)
    SEALS.check(approved)
    assert approval.verdict == approved
    assert approval.state == "approved"
    assert approved.rules == ("permitted", "high-risk-needs-a-person")
    assert approved.expires_at == later(house.now, 300)
    assert (await house.record(approval.decision_id)).state == "approved"


async def test_a_vote_is_recorded_and_settled_like_any_decision(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)

    answer = await house.vote(approval_id)

    record = await house.record(answer.approved.decision_id)
    assert answer.approved.audience == "coordinator"
    assert (record.state, record.outcome) == ("done", answer.outcome)
    assert record.facts["approval"]["id"] == approval_id


async def test_a_refusal_ends_it_and_is_told_to_who_asked(house: Gatehouse) -> None:
    decision = house.decision("tool.call", CALL)
    asked = (await house.ask(decision)).awaiting

    answer = await house.vote(asked.approval_id, grant=False)

    approval = await house.approval(asked.approval_id)
    again = await house.ask(decision)
    assert answer.outcome.result["state"] == "refused"
    assert isinstance(approval.verdict, Refused)
    assert approval.verdict.details["by"] == "sub_bob"
    assert (await house.record(decision.id)).state == "refused"
    assert again.refused == approval.verdict
    assert house.performing == []


async def test_a_quorum_of_two_wants_two_subjects(house: Gatehouse) -> None:
    await asking(house, quorum=2)
    approval_id = await ask_to_pay(house)
    other_key_of_bob = person("bob", "approver", key="bob2")

    first = await house.vote(approval_id, BOB)
    twice = await house.vote(approval_id, other_key_of_bob)
    second = await house.vote(approval_id, EVE)

    states = [a.outcome.result["state"] for a in (first, twice, second)]
    assert states == ["awaiting", "awaiting", "approved"]
    votes = (await house.approval(approval_id)).votes
    assert [vote.subject for vote in votes] == ["sub_bob", "sub_eve"]


async def test_nobody_votes_on_their_own_proposal_with_another_key(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    ada_as_approver = person("ada", "approver", key="ada2")

    granted = await house.vote(approval_id, ada_as_approver)
    refused = await house.vote(approval_id, ada_as_approver, grant=False)

    assert granted.refused.code == refused.refused.code == "self_approval"
    assert (await house.approval(approval_id)).votes == ()


async def test_own_votes_count_where_the_rule_says_so(house: Gatehouse) -> None:
    await asking(house, not_self=False)
    approval_id = await ask_to_pay(house)

    answer = await house.vote(approval_id, person("ada", "approver", key="ada2"))

    assert answer.outcome.result["state"] == "approved"


@pytest.mark.parametrize(
    ("approver", "voter", "code"),
    [
        ("subject:sub_bob", EVE, "not_an_approver"),
        ("key:key_bob", person("bob", "approver", key="bob2"), "not_an_approver"),
        ("role:admin", BOB, "not_an_approver"),
        ("subject:sub_bob", BOB, ""),
        ("key:key_bob", BOB, ""),
    ],
)
async def test_only_who_is_asked_may_vote(
    house: Gatehouse, approver: str, voter: Any, code: str
) -> None:
    await asking(house, approvers=(approver,))
    approval_id = await ask_to_pay(house)

    answer = await house.vote(approval_id, voter)

    if code:
        assert answer.refused.code == code
    else:
        assert answer.outcome.result["state"] == "approved"


async def test_a_telegram_account_is_asked_by_its_number(house: Gatehouse) -> None:
    await asking(house, approvers=("telegram:12345",))
    approval_id = await ask_to_pay(house)
    on_phone = BOB.model_copy(update={"id": "tg_12345", "kind": "telegram"})

    answer = await house.vote(approval_id, on_phone)

    assert answer.outcome.result["state"] == "approved"


async def test_a_vote_after_the_end_names_the_winner(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house)
    await house.vote(approval_id, BOB)

    for grant in (True, False):
        late = await house.vote(approval_id, EVE, grant=grant)
        assert late.refused.code == "not_waiting"
        winner = late.refused.details["winner"]
        assert (winner["state"], winner["subject"]) == ("approved", "sub_bob")

    assert len(house.performing) == 1


async def test_a_vote_after_the_time_is_over_does_not_count(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    await house.clock.advance(86_400)

    answer = await house.vote(approval_id)

    assert answer.refused.code == "not_waiting"
    assert answer.refused.details["winner"]["state"] == "expired"


async def test_an_unknown_approval_is_not_found(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house)
    stranger = person("zoe", "approver", tenant="other")

    answer = await house.vote(approval_id, stranger)

    assert answer.refused.code == "not_found"


async def test_a_changed_definition_voids_the_votes_and_asks_again(
    house: Gatehouse,
) -> None:
    await asking(house, quorum=2)
    approval_id = await ask_to_pay(house)
    await house.vote(approval_id, BOB)
    await house.clock.advance(60)
    changed = await house.define("tool", tool(description="dearer"))

    answer = await house.vote(approval_id, EVE)

    approval = await house.approval(approval_id)
    assert fault_of(answer) == "approval_changed"
    assert approval.state == "waiting"
    assert approval.votes == ()
    assert approval.pins == {"tool:pay": changed.digest}
    assert approval.expires_at == later(house.now, 86_400)
    assert house.performing == []


async def test_a_changed_policy_voids_the_votes_and_asks_on_its_terms(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    await asking(house, approvers=("subject:sub_eve",))

    stale = await house.vote(approval_id, BOB)
    not_asked_any_more = await house.vote(approval_id, BOB)
    now_asked = await house.vote(approval_id, EVE)

    assert fault_of(stale) == "approval_changed"
    assert not_asked_any_more.refused.code == "not_an_approver"
    assert now_asked.outcome.result["state"] == "approved"
    approval = await house.approval(approval_id)
    assert approval.policy_digest == house.book.current.digest
    assert approval.rules == ("ask-it",)


async def test_a_policy_that_forbids_it_now_ends_the_question(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    vote = "decision.action.startsWith('approval.')"
    house.policy = Policy(rules=(Rule(id="votes", when=vote, then="allow"),))
    await house.book.reload()

    answer = await house.vote(approval_id)

    assert fault_of(answer) == "approval_changed"
    assert (await house.approval(approval_id)).state == "refused"
    assert house.performing == []


async def test_a_policy_that_asks_nobody_any_more_releases_it(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    house.policy = Policy(default="allow")
    await house.book.reload()

    answer = await house.vote(approval_id)

    await house.until_performing(1)
    assert fault_of(answer) == "approval_changed"
    assert (await house.approval(approval_id)).votes == ()


async def test_a_deleted_tool_ends_the_question(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house)
    await house.store.definitions.delete(
        TENANT, "tool", "pay", expected_version=None, at=house.now
    )

    answer = await house.vote(approval_id)

    approval = await house.approval(approval_id)
    assert fault_of(answer) == "approval_changed"
    assert isinstance(approval.verdict, Refused)
    assert approval.verdict.code == "tool_not_found"


async def test_a_vote_on_what_the_voter_did_not_see_never_counts(
    house: Gatehouse,
) -> None:
    """The vote was recorded; then the question changed; then it is carried out."""
    approval_id = await ask_to_pay(house)
    vote = house.decision("approval.grant", {"approval_id": approval_id}, BOB)
    envelope = house.envelope(vote)
    ruling = await house.agent._gate.hear(vote)
    record = await house.agent._recorded(ruling, envelope)
    await house.define("tool", tool(description="dearer"))
    await house.vote(approval_id, EVE)

    await house.agent.on_decision(vote, envelope)

    settled = await house.record(record.id)
    assert settled.outcome is not None
    assert settled.outcome.error is not None
    assert settled.outcome.error.code == "approval_changed"
    assert (await house.approval(approval_id)).votes == ()


async def test_a_freeze_hinders_the_vote_and_leaves_the_question(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    await house.store.freezes.set(frozen("tool", "pay"))

    answer = await house.vote(approval_id)

    assert fault_of(answer) == "frozen"
    assert (await house.approval(approval_id)).state == "waiting"


async def test_of_many_votes_at_once_one_decides_and_one_verdict_leaves(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    voters = [person(f"v{n}", "approver") for n in range(20)]
    answers: list[Answer] = []

    async def vote(n: int) -> None:
        answers.append(await house.vote(approval_id, voters[n], grant=n % 2 == 0))

    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(vote, n)

    voted = [a for a in answers if isinstance(a.verdict, Approved)]
    counted = [a for a in voted if a.outcome.state == "succeeded"]
    approval = await house.approval(approval_id)
    assert len(counted) == 1
    assert len(approval.votes) == 1
    assert len(house.performing) == (approval.state == "approved")


async def test_a_vote_delivered_twice_counts_once_and_answers_the_same(
    house: Gatehouse,
) -> None:
    await asking(house, quorum=2)
    approval_id = await ask_to_pay(house)
    vote = house.decision("approval.grant", {"approval_id": approval_id}, BOB)
    envelope = house.envelope(vote)

    await house.agent.on_decision(vote, envelope)
    before = (await house.record(vote.id)).outcome
    await house.agent.on_decision(vote, envelope)

    assert (await house.record(vote.id)).outcome == before
    assert len((await house.approval(approval_id)).votes) == 1


async def test_votes_may_be_denied_but_are_never_asked_about(
    house: Gatehouse,
) -> None:
    approval_id = await ask_to_pay(house)
    deny = Rule(
        id="not-bob",
        when="decision.action == 'approval.grant' "
        "&& decision.principal.subject == 'sub_bob'",
        then="deny",
    )
    house.policy = Policy(rules=(deny, *house.policy.rules))
    await house.book.reload()

    denied = await house.vote(approval_id, BOB)

    assert denied.refused.rules == ("not-bob",)


async def test_people_see_who_voted_and_why(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house)

    args = {"approval_id": approval_id, "comment": "Fine."}
    await house.propose("approval.grant", args, BOB)

    (vote,) = (await house.approval(approval_id)).votes
    assert (vote.subject, vote.vote, vote.comment) == ("sub_bob", "grant", "Fine.")
    assert "role:approver" in vote.known_as


async def test_the_ledger_tells_question_vote_and_end(house: Gatehouse) -> None:
    approval_id = await ask_to_pay(house, who=ADA)
    await house.vote(approval_id)

    approval = await house.approval(approval_id)
    entries = await house.store.ledger.of(TENANT, approval.decision_id)

    assert [entry.kind for entry in entries] == ["decision", "vote", "approval"]
