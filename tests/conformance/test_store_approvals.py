"""What every store promises about approvals."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from contracts import Approval, CastVote, DecisionRecord, Outcome
from store import Store
from tests.support.stored import TENANT, approval, approved, at, record, told


async def asked(store: Store, **more: Any) -> tuple[DecisionRecord, Approval]:
    said = record("awaiting")
    opened = approval(said, **more)
    await store.decisions.record(said, opened)
    return said, opened


def voted(before: Approval, *votes: CastVote, **more: Any) -> Approval:
    changed = {"votes": before.votes + votes, "revision": before.revision + 1, **more}
    return before.model_copy(update=changed)


def vote(subject: str, said: Any = "grant", second: int = 1) -> CastVote:
    return CastVote(subject=subject, vote=said, at=at(second))


async def test_a_vote_changes_the_approval_and_leaves_the_decision_waiting(
    store: Store,
) -> None:
    said, opened = await asked(store)
    after = voted(opened, vote("sub_eve"))

    assert await store.approvals.change(after, from_revision=1)
    assert await store.approvals.get(TENANT, opened.id) == after
    assert await store.decisions.get(TENANT, said.id) == said


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("approved", "approved"),
        ("refused", "refused"),
        ("expired", "expired"),
        ("void", "expired"),
    ],
)
async def test_the_state_of_the_decision_follows_its_approval(
    store: Store, end: str, state: str
) -> None:
    said, opened = await asked(store)

    await store.approvals.change(voted(opened, state=end), from_revision=1)

    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert stored.state == state
    assert stored.verdict == said.verdict


async def test_an_approved_decision_that_was_asked_about_wants_to_be_performed(
    store: Store,
) -> None:
    said, opened = await asked(store)
    verdict = approved(said.decision)
    granted = voted(opened, vote("sub_eve"), state="approved", verdict=verdict)
    await store.approvals.change(granted, from_revision=1)

    (found,) = await store.decisions.unperformed(recorded_before=at(9), limit=10)

    assert found.id == said.id
    stored = await store.approvals.of_decision(TENANT, said.id)
    assert stored is not None
    assert stored.verdict == verdict


async def test_a_change_from_another_revision_does_not_happen(store: Store) -> None:
    _, opened = await asked(store)
    first = voted(opened, vote("sub_eve"))
    await store.approvals.change(first, from_revision=1)

    assert not await store.approvals.change(
        voted(opened, vote("sub_bob")), from_revision=1
    )
    assert await store.approvals.get(TENANT, opened.id) == first


async def test_an_own_change_come_back_has_happened(store: Store) -> None:
    said, opened = await asked(store)
    after = voted(opened, vote("sub_eve"))

    assert await store.approvals.change(after, from_revision=1)
    assert await store.approvals.change(after, from_revision=1)
    assert len(await told(store, said.id)) == 2


async def test_an_approval_that_has_ended_changes_no_more(store: Store) -> None:
    _, opened = await asked(store)
    end = voted(opened, state="expired")
    await store.approvals.change(end, from_revision=1)

    late = voted(end, vote("sub_eve"), state="approved")

    assert not await store.approvals.change(late, from_revision=2)
    assert await store.approvals.get(TENANT, opened.id) == end


async def test_a_settled_decision_does_not_follow_a_late_vote(store: Store) -> None:
    said, opened = await asked(store)
    expired = voted(opened, state="expired")
    await store.approvals.change(expired, from_revision=1)
    before = await store.decisions.get(TENANT, said.id)

    await store.approvals.change(voted(opened, state="approved"), from_revision=1)

    assert await store.decisions.get(TENANT, said.id) == before


async def test_of_fifty_votes_from_one_revision_one_counts(store: Store) -> None:
    _, opened = await asked(store)
    won: list[str] = []

    async def cast(subject: str) -> None:
        after = voted(opened, vote(subject))
        if await store.approvals.change(after, from_revision=1):
            won.append(subject)

    async with anyio.create_task_group() as tasks:
        for n in range(50):
            tasks.start_soon(cast, f"sub_{n}")

    stored = await store.approvals.get(TENANT, opened.id)
    assert stored is not None
    assert [each.subject for each in stored.votes] == won
    assert len(won) == 1


async def test_an_unknown_approval_cannot_be_changed(store: Store) -> None:
    assert not await store.approvals.change(
        approval(record("awaiting"), revision=2), from_revision=1
    )
    assert (await store.counts())["approvals"] == 0


async def test_an_approval_of_another_tenant_is_as_absent_as_an_unknown_one(
    store: Store,
) -> None:
    said, opened = await asked(store)
    foreign = voted(opened, tenant="other", state="approved")

    assert await store.approvals.get("other", opened.id) is None
    assert await store.approvals.of_decision("other", said.id) is None
    assert not await store.approvals.change(foreign, from_revision=1)
    assert (await store.approvals.page("other", state=None, limit=9)).items == ()
    assert await store.approvals.get(TENANT, opened.id) == opened


async def test_due_are_the_waiting_approvals_whose_time_is_over(store: Store) -> None:
    _, late = await asked(store, expires_at=at(5))
    _, later = await asked(store, expires_at=at(3))
    await asked(store, expires_at=at(9))
    _, answered = await asked(store, expires_at=at(4))
    await store.approvals.change(voted(answered, state="refused"), from_revision=1)

    assert await store.approvals.due(at(5), limit=10) == (later, late)
    assert await store.approvals.due(at(5), limit=1) == (later,)
    assert await store.approvals.due(at(2), limit=10) == ()


async def test_a_run_finds_its_waiting_approvals_by_node(store: Store) -> None:
    run_id = "run_" + "0" * 26
    _, send = await asked(store, run_id=run_id, node_id="send")
    _, pay = await asked(store, run_id=run_id, node_id="pay")
    await asked(store, run_id="run_" + "1" * 26, node_id="send")
    _, gone = await asked(store, run_id=run_id, node_id="send")
    await store.approvals.change(voted(gone, state="refused"), from_revision=1)

    assert await store.approvals.of_run(TENANT, run_id) == (send, pay)
    assert await store.approvals.of_run(TENANT, run_id, node_id="pay") == (pay,)
    assert await store.approvals.of_run("other", run_id) == ()


async def test_a_list_of_approvals_pages_newest_first_by_state(store: Store) -> None:
    opened = [(await asked(store, asked_at=at(n)))[1] for n in range(5)]
    await store.approvals.change(voted(opened[2], state="refused"), from_revision=1)

    first = await store.approvals.page(TENANT, state="waiting", limit=3)
    assert first.items == (opened[4], opened[3], opened[1])
    rest = await store.approvals.page(
        TENANT, state="waiting", limit=3, after=first.next
    )
    assert rest == ((opened[0],), None)
    everything = await store.approvals.page(TENANT, state=None, limit=9)
    assert len(everything.items) == 5


async def test_an_expiry_is_untold_until_the_decision_has_its_outcome(
    store: Store,
) -> None:
    said, opened = await asked(store)
    await store.approvals.change(voted(opened, state="expired"), from_revision=1)

    (found,) = await store.decisions.untold(recorded_before=at(9), limit=9)
    ended = Outcome(decision_id=said.id, state="expired")
    await store.decisions.settle(TENANT, said.id, ended, at(9))

    assert found.id == said.id
    assert await store.decisions.untold(recorded_before=at(9), limit=9) == ()
