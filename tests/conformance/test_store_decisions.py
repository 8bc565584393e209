"""What every store promises about decisions."""

from __future__ import annotations

import anyio
import pytest

from contracts import DecisionRecord, InvalidInput
from store import DecisionFilter, Store
from tests.support.stored import TENANT, approval, at, outcome, record, told

ALL = DecisionFilter()


async def test_a_recorded_decision_is_read_back_as_it_was_said(store: Store) -> None:
    said = record()

    stored = await store.decisions.record(said)

    assert stored == said
    assert await store.decisions.get(TENANT, said.id) == said


async def test_of_two_records_of_one_id_the_first_stays(store: Store) -> None:
    first = record()
    second = record(id=first.id, args={"workflow": "other", "input": {}})
    await store.decisions.record(first)

    assert await store.decisions.record(second) == first
    assert await store.decisions.get(TENANT, first.id) == first
    assert (await store.counts())["decisions"] == 1


async def test_of_sixteen_racing_records_of_one_id_all_get_the_same(
    store: Store,
) -> None:
    first = record()
    rivals = [record(id=first.id, reason=str(n)) for n in range(16)]
    got: list[DecisionRecord] = []

    async def write(rival: DecisionRecord) -> None:
        got.append(await store.decisions.record(rival))

    async with anyio.create_task_group() as tasks:
        for rival in rivals:
            tasks.start_soon(write, rival)

    assert len({each.decision.reason for each in got}) == 1
    assert (await store.counts())["ledger"] == 1


async def test_a_decision_of_another_tenant_is_as_absent_as_an_unknown_one(
    store: Store,
) -> None:
    said = await store.decisions.record(record())

    assert await store.decisions.get("other", said.id) is None
    page = await store.decisions.page("other", ALL, limit=10)
    assert page.items == ()
    await store.decisions.settle("other", said.id, outcome(said), at(1))
    assert await store.decisions.get(TENANT, said.id) == said


async def test_two_tenants_may_have_a_decision_of_the_same_id(store: Store) -> None:
    ours = await store.decisions.record(record())
    theirs = await store.decisions.record(record(id=ours.id, tenant="other"))

    assert theirs.tenant == "other"
    assert await store.decisions.get(TENANT, ours.id) == ours
    assert await store.decisions.get("other", ours.id) == theirs


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        ("succeeded", "done"),
        ("failed", "failed"),
        ("unknown", "unknown"),
        ("expired", "expired"),
    ],
)
async def test_a_settled_decision_has_the_state_of_its_outcome(
    store: Store, ended: str, state: str
) -> None:
    said = await store.decisions.record(record())
    end = outcome(said, ended, {"n": 1})

    await store.decisions.settle(TENANT, said.id, end, at(1))

    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert (stored.state, stored.outcome, stored.settled_at) == (state, end, at(1))
    unchanged = stored.model_copy(
        update={"state": said.state, "outcome": None, "settled_at": None}
    )
    assert unchanged == said


async def test_the_first_outcome_of_a_decision_stays(store: Store) -> None:
    said = await store.decisions.record(record())
    first = outcome(said, "succeeded", 1)
    heard = [
        await store.decisions.settle(TENANT, said.id, first, at(1)),
        await store.decisions.settle(TENANT, said.id, outcome(said, "failed"), at(2)),
    ]

    stored = await store.decisions.get(TENANT, said.id)
    assert stored is not None
    assert heard == [first, first]
    assert (stored.state, stored.outcome, stored.settled_at) == ("done", first, at(1))
    assert len(await told(store, said.id)) == 2


async def test_a_refused_decision_is_never_settled(store: Store) -> None:
    said = await store.decisions.record(record("refused"))
    await store.decisions.settle(TENANT, said.id, outcome(said), at(1))

    assert await store.decisions.get(TENANT, said.id) == said


async def test_an_approval_is_stored_with_the_record_that_opens_it(
    store: Store,
) -> None:
    said = record("awaiting")
    asked = approval(said)

    await store.decisions.record(said, asked)

    assert await store.approvals.get(TENANT, asked.id) == asked
    assert await store.approvals.of_decision(TENANT, said.id) == asked


async def test_a_second_record_opens_no_second_approval(store: Store) -> None:
    first = await store.decisions.record(record("approved"))
    again = record("awaiting", id=first.id)

    await store.decisions.record(again, approval(again))

    assert await store.approvals.of_decision(TENANT, first.id) is None


async def test_a_list_shows_the_newest_decision_first(store: Store) -> None:
    said = [
        await store.decisions.record(record(recorded_at=at(second)))
        for second in (2, 1, 3)
    ]

    page = await store.decisions.page(TENANT, ALL, limit=10)

    assert list(page.items) == [said[2], said[0], said[1]]
    assert page.next is None


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (DecisionFilter(action="tool.call"), {"b"}),
        (DecisionFilter(state="refused"), {"c"}),
        (DecisionFilter(rule="night"), {"b", "d"}),
        (DecisionFilter(subject="sub_eve"), {"d"}),
        (DecisionFilter(rule="night", subject="sub_eve"), {"d"}),
        (DecisionFilter(action="tool.call", state="refused"), set()),
        (DecisionFilter(rule="day", action="workflow.run", state="approved"), {"a"}),
    ],
)
async def test_a_list_shows_what_all_its_filters_let_pass(
    store: Store, where: DecisionFilter, expected: set[str]
) -> None:
    for said in (
        record(reason="a", rules=("day",)),
        record(reason="b", action="tool.call", rules=("day", "night")),
        record("refused", reason="c", rules=()),
        record(reason="d", by="sub_eve", rules=("night",)),
    ):
        await store.decisions.record(said)

    page = await store.decisions.page(TENANT, where, limit=10)

    assert {each.decision.reason for each in page.items} == expected


@pytest.mark.parametrize("where", [ALL, DecisionFilter(rule="allow-all")])
async def test_pages_neither_repeat_nor_skip_while_decisions_come_in(
    store: Store, where: DecisionFilter
) -> None:
    said = [
        await store.decisions.record(record(recorded_at=at(second // 3)))
        for second in range(9)
    ]
    seen: list[str] = []
    after = None
    for second in range(10, 15):
        page = await store.decisions.page(TENANT, where, limit=2, after=after)
        seen += [each.id for each in page.items]
        await store.decisions.record(record(recorded_at=at(second)))
        after = page.next
        if after is None:
            break

    assert sorted(seen) == sorted(each.id for each in said)


async def test_a_cursor_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput) as refused:
        await store.decisions.page(TENANT, ALL, limit=2, after="tomorrow")

    assert refused.value.code == "invalid_cursor"


async def test_the_last_actions_of_a_conversation_come_newest_first(
    store: Store,
) -> None:
    ours, theirs = "cnv_" + "0" * 26, "cnv_" + "1" * 26
    for second, (action, where) in enumerate(
        [
            ("conversation.turn", ours),
            ("tool.call", theirs),
            ("workflow.run", ours),
            ("message.send", ours),
        ]
    ):
        said = record(action=action, conversation_id=where, recorded_at=at(second))
        await store.decisions.record(said)

    actions = await store.decisions.recent_actions(TENANT, ours, 2)

    assert actions == ("message.send", "workflow.run")


async def test_unperformed_are_the_approved_ones_nobody_has_settled(
    store: Store,
) -> None:
    old = await store.decisions.record(record(recorded_at=at(1)))
    older = await store.decisions.record(record(recorded_at=at(0), tenant="other"))
    await store.decisions.record(record(recorded_at=at(9)))
    for state in ("awaiting", "refused", "dry_run"):
        await store.decisions.record(record(state, recorded_at=at(1)))

    done = await store.decisions.record(record(recorded_at=at(1)))
    await store.decisions.settle(TENANT, done.id, outcome(done), at(2))

    found = await store.decisions.unperformed(recorded_before=at(5), limit=10)

    assert found == (older, old)
    assert await store.decisions.unperformed(recorded_before=at(5), limit=1) == (older,)
