"""Asked, voted, judged again: who may say yes, to what, once, and in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import anyio
import pytest

from contracts import JsonObject
from tests.support.api import Answer, Api
from tests.support.definitions import asking, greet
from tests.support.serving import Given, Served, serving

RUN = {
    "action": "workflow.run",
    "args": {"workflow": "greet", "input": {"name": "Ada"}},
}
ALLOW = {"id": "allow-all", "when": "true", "then": "allow"}


def ask_first(**terms: Any) -> JsonObject:
    """A rule that asks about every run."""
    when = "decision.action == 'workflow.run'"
    return {"id": "ask-first", "when": when, "then": "ask", "ask": terms}


class Case(NamedTuple):
    """An approval that waits, who proposed it, and who may vote on it."""

    served: Served
    proposer: Api
    approver: Api
    asked: Answer

    @property
    def id(self) -> str:
        """The approval."""
        return str(self.asked.body["approval"]["id"])

    async def vote(self, voter: Api, vote: str = "grant", **body: Any) -> Answer:
        return await voter.call("POST", f"/approvals/{self.id}/{vote}", body)

    async def shown(self) -> Any:
        return await self.served.api.get(f"/approvals/{self.id}")

    async def runs(self) -> list[Any]:
        listed = await self.served.api.get("/runs?workflow=greet")
        return list(listed["items"])


async def open_case(served: Served) -> Case:
    """Ada proposes, grace may vote."""
    await served.api.post("/workflows", greet())
    ada = await served.key("ada", "operator", "approver")
    grace = await served.key("grace", "approver")
    return Case(served, ada, grace, await ada.call("POST", "/decisions", RUN))


@pytest.fixture
async def case(given: Given) -> AsyncIterator[Case]:
    """One yes is needed."""
    rules = (ask_first(expires_s=60), ALLOW)
    async with serving(given(gate={"rules": rules})) as served:
        yield await open_case(served)


async def test_who_is_asked_sees_everything_that_is_asked(case: Case) -> None:
    shown = await case.shown()

    assert (case.asked.status, case.asked.body["state"]) == (202, "awaiting")
    assert case.asked.body["verdict"] == {"result": "awaiting", "rules": ["ask-first"]}
    assert case.asked.body["approval"]["approvers"] == ["role:approver"]
    assert shown["args"] == RUN["args"]
    assert shown["plan"]
    assert "workflow:greet" in shown["pins"]
    assert (shown["quorum"], shown["votes"], shown["state"]) == (1, [], "waiting")
    assert await case.runs() == []


async def test_the_yes_of_another_subject_runs_it_once(case: Case) -> None:
    answer = await case.vote(case.approver, comment="fine")

    assert (answer.status, answer.body["state"]) == (200, "approved")
    assert answer.body["decision_id"] == case.asked.body["decision_id"]
    [run] = await case.runs()
    assert answer.body["outcome"]["result"] == {"run_id": run["id"]}
    [vote] = (await case.shown())["votes"]
    assert (vote["vote"], vote["comment"]) == ("grant", "fine")


async def test_nobody_approves_what_they_proposed(case: Case) -> None:
    answer = await case.vote(case.proposer)

    assert (answer.status, answer.code) == (403, "self_approval")
    assert (await case.shown())["votes"] == []
    assert await case.runs() == []


async def test_nobody_approves_it_with_another_key_of_their_own(case: Case) -> None:
    other_key = await case.served.key("ada", "approver")

    answer = await case.vote(other_key)

    assert (answer.status, answer.code) == (403, "self_approval")
    assert await case.runs() == []


async def test_who_lacks_the_permission_cannot_vote(case: Case) -> None:
    operator = await case.served.key("eve", "operator")

    answer = await case.vote(operator)

    assert (answer.status, answer.code) == (403, "forbidden")
    assert (await case.shown())["state"] == "waiting"


@pytest.mark.parametrize("vote", ["grant", "refuse"])
@pytest.mark.parametrize("by_the_same", [True, False])
async def test_a_second_vote_comes_too_late(
    case: Case,
    by_the_same: bool,
    vote: str,
) -> None:
    await case.vote(case.approver)
    second = case.approver if by_the_same else await case.served.key("joan", "approver")

    answer = await case.vote(second, vote)

    assert (answer.status, answer.code) == (409, "not_waiting")
    assert answer.body["details"]["winner"]
    assert len(await case.runs()) == 1


async def test_of_many_votes_at_once_one_wins_and_it_runs_once(case: Case) -> None:
    voters = [await case.served.key(f"voter-{n}", "approver") for n in range(8)]
    answers: list[Answer] = []

    async def cast(voter: Api) -> None:
        answers.append(await case.vote(voter))

    async with anyio.create_task_group() as voting:
        for voter in voters:
            voting.start_soon(cast, voter)

    assert sorted(answer.status for answer in answers) == [200, *[409] * 7]
    assert len(await case.runs()) == 1


async def test_a_no_is_final_and_nothing_runs(case: Case) -> None:
    refused = await case.vote(case.approver, "refuse")
    later = await case.vote(await case.served.key("joan", "approver"))

    assert (refused.status, refused.body["state"]) == (200, "refused")
    assert (later.status, later.code) == (409, "not_waiting")
    assert await case.runs() == []
    decided = await case.served.api.get(f"/decisions/{case.asked.body['decision_id']}")
    assert decided["state"] == "refused"


async def test_a_vote_after_the_end_of_time_is_too_late(case: Case) -> None:
    case.served.clock.put_forward(61)

    answer = await case.vote(case.approver)

    assert (answer.status, answer.code) == (409, "not_waiting")
    assert await case.runs() == []


async def test_a_vote_on_what_was_changed_meanwhile_is_void(case: Case) -> None:
    await case.served.api.call("PUT", "/workflows/greet", greet("Goodbye"))

    answer = await case.vote(case.approver)

    assert (answer.status, answer.code) == (409, "approval_changed")
    assert await case.runs() == []
    anew = await case.shown()
    assert (anew["state"], anew["votes"]) == ("waiting", [])


async def test_what_was_asked_anew_runs_as_it_was_seen_then(case: Case) -> None:
    await case.served.api.call("PUT", "/workflows/greet", greet("Goodbye"))
    await case.vote(case.approver)

    answer = await case.vote(case.approver)

    assert answer.status == 200
    [run] = await case.runs()
    assert run["workflow_version"] == 2


async def test_a_vote_under_another_policy_is_void(given: Given) -> None:
    first = given(gate={"rules": (ask_first(), ALLOW)})
    async with serving(first) as served:
        case = await open_case(served)

    note = {"id": "note", "when": "false", "then": "deny"}
    second = given(gate={"rules": (ask_first(), ALLOW, note)})
    async with serving(second) as served:
        after = case._replace(served=served)
        answer = await after.vote(await served.key("joan", "approver"))

        assert (answer.status, answer.code) == (409, "approval_changed")
        assert await after.runs() == []
        assert (await after.shown())["votes"] == []


async def test_a_quorum_counts_subjects_and_not_keys(given: Given) -> None:
    rules = (ask_first(quorum=2), ALLOW)
    async with serving(given(gate={"rules": rules})) as served:
        case = await open_case(served)

        first = await case.vote(case.approver)
        again = await case.vote(await served.key("grace", "approver"))
        assert first.body["state"] == "awaiting"
        assert again.body.get("state") != "approved"
        assert await case.runs() == []

        last = await case.vote(await served.key("joan", "approver"))
        assert (last.status, last.body["state"]) == (200, "approved")
        assert len(await case.runs()) == 1


async def test_a_node_that_asks_holds_its_run_until_a_person_answers(
    served: Served,
) -> None:
    await served.api.post("/workflows", asking())
    grace = await served.key("grace", "approver")

    waiting = await served.api.run("asking", {"name": "Ada"})
    assert (waiting["status"], waiting["paused_reason"]) == ("paused", "approval")

    own = await served.api.call("POST", f"/runs/{waiting['id']}/approve", {})
    assert own.status == 403
    body = {"node_id": "ask"}
    voted = await grace.call("POST", f"/runs/{waiting['id']}/approve", body)

    assert voted.status == 200
    run = await ended(served, waiting["id"])
    assert (run["status"], run["output"]) == ("completed", {"greeting": "Hello Ada"})


async def ended(served: Served, run_id: str) -> Any:
    """The run once its stream has ended."""
    async with served.api.stream(f"/runs/{run_id}/events") as response:
        await response.read()

    return await served.api.get(f"/runs/{run_id}")
