"""What each action does once the entry let it through, and that twice is once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from contracts import (
    Action,
    InboxItem,
    JsonObject,
    NodeState,
    Outcome,
    RunRow,
    RunState,
    derived_id,
    new_id,
    split_key,
)
from tests.support.entrance import (
    BUDGETS,
    RUN,
    TENANT,
    Entrance,
    open_entrance,
)
from tests.support.stored import ended, run

GREET: JsonObject = {
    "name": "greet",
    "kind": "workflow",
    "nodes": [
        {"id": "start", "type": "workflow_start"},
        {"id": "end", "type": "workflow_end", "output": {}},
    ],
    "edges": [{"from": "start", "to": "end"}],
}
WAITING = RunState(
    seq=5,
    status="paused",
    paused_reason="error",
    waiting_on=({"node": "pay", "kind": "error", "point": "5"},),
)
NEW_KEY = {"subject": "grace", "roles": ["operator"], "label": "laptop"}


@pytest.fixture
async def door() -> AsyncIterator[Entrance]:
    """The entry before an empty store."""
    async with open_entrance() as entrance:
        yield entrance


async def perform(door: Entrance, action: Action, args: JsonObject) -> Outcome:
    """What comes of an approved action."""
    return await door.entry.perform(await door.approve(action, args))


async def code_of(door: Entrance, action: Action, args: JsonObject) -> str:
    """The code with which an approved action fails."""
    outcome = await perform(door, action, args)
    assert outcome.error is not None
    return outcome.error.code


async def stored_run(door: Entrance, state: RunState = WAITING) -> RunRow:
    """A run in this state that nobody drives."""
    row, _ = await door.store.runs.create(run(state=state))
    return row


async def inbox(door: Entrance, row: RunRow) -> tuple[InboxItem, ...]:
    """What lies in a run's inbox."""
    return await door.store.runs.drain(TENANT, row.id)


# ------------------------------------------------------------------- starting


async def test_a_run_not_to_be_started_waits_to_be(door: Entrance) -> None:
    outcome = await perform(door, "workflow.run", {**RUN, "start": False})

    row = await door.store.runs.get(TENANT, outcome.result["run_id"])
    assert row is not None
    assert (row.state.status, row.state.paused_reason) == ("paused", "not_started")
    assert (row.lease, door.worker.started) == (None, [])


async def test_a_run_not_started_is_started_by_resuming_it_once(
    door: Entrance,
) -> None:
    made = await perform(door, "workflow.run", {**RUN, "start": False})
    args = {"run_id": made.result["run_id"]}

    await perform(door, "run.resume", args)

    row = await door.store.runs.get(TENANT, args["run_id"])
    assert row is not None
    assert [item.kind for item in await inbox(door, row)] == ["start"]
    assert await code_of(door, "run.resume", args) == "not_waiting"


async def test_a_key_in_use_by_an_open_run_names_that_run(door: Entrance) -> None:
    first = await perform(door, "workflow.run", {**RUN, "key": "order-7"})

    second = await perform(door, "workflow.run", {**RUN, "key": "order-7"})

    assert second.error is not None
    assert second.error.code == "run_exists"
    assert second.error.details["run_id"] == first.result["run_id"]


async def test_a_run_beyond_its_budget_is_no_run(door: Entrance) -> None:
    tight = BUDGETS[0].model_copy(update={"limit": 1.0})
    door.starting._budgets = lambda: (tight,)
    await perform(door, "workflow.run", RUN)

    assert await code_of(door, "workflow.run", RUN) == "budget_exceeded"
    assert len(door.worker.started) == 1


async def test_a_tool_called_outside_a_run_is_a_run_of_one_node(
    door: Entrance,
) -> None:
    outcome = await perform(door, "tool.call", {"tool": "pay", "input": {"amount": 3}})

    row = await door.store.runs.get(TENANT, outcome.result["run_id"])
    assert row is not None
    assert (row.workflow, row.call_was_judged) == ("tool:pay", True)
    body = await door.store.definitions.archived(TENANT, row.workflow_digest)
    assert body is not None
    assert [node["type"] for node in body["nodes"]] == [
        "workflow_start",
        "tool",
        "workflow_end",
    ]
    assert body["nodes"][1]["input"] == {"amount": '${start["amount"]}'}


# ------------------------------------------------------------------- definitions


async def test_saving_makes_versions_and_guards_them(door: Entrance) -> None:
    first = await perform(door, "workflow.save", {"definition": GREET})
    second = await perform(door, "workflow.save", {"definition": GREET, "version": 1})

    assert (first.result["version"], second.result["version"]) == (1, 2)
    assert first.result["id"] == second.result["id"]
    old = {"definition": GREET, "version": 1}
    assert await code_of(door, "workflow.save", old) == "version_conflict"
    assert await code_of(door, "workflow.save", {"definition": GREET}) == (
        "name_conflict"
    )


async def test_deleting_takes_the_head_and_leaves_the_archive(door: Entrance) -> None:
    saved = await perform(door, "workflow.save", {"definition": GREET})

    await perform(door, "workflow.delete", {"name": "greet"})

    assert await door.store.definitions.head(TENANT, "workflow", "greet") is None
    digest = saved.result["digest"]
    assert await door.store.definitions.archived(TENANT, digest) is not None
    assert await code_of(door, "workflow.delete", {"name": "greet"}) == "not_found"


# ------------------------------------------------------------------- keys


async def test_a_new_key_is_shown_once_and_opens_the_door(door: Entrance) -> None:
    verdict = await door.approve("key.create", NEW_KEY)

    first = await door.entry.perform(verdict)
    second = await door.entry.perform(verdict)

    parts = split_key(first.result["key"])
    assert parts is not None
    row = await door.store.keys.get(parts[0])
    assert row is not None
    assert (row.secret_digest, row.roles) == (parts[1], ("operator",))
    assert "key" not in second.result
    assert second.replayed


async def test_a_new_key_is_stored_nowhere(door: Entrance) -> None:
    verdict = await door.approve("key.create", NEW_KEY)

    secret = (await door.entry.perform(verdict)).result["key"].split("_", 2)[2]

    record = await door.store.decisions.get(TENANT, verdict.decision_id)
    effect = await door.store.effects.get(TENANT, verdict.decision_id, "0")
    entries = await door.store.ledger.page(TENANT, limit=100)
    keys = await door.store.keys.page(TENANT, limit=100)
    kept = [record, effect, *entries, *keys.items]
    assert all(one is not None and secret not in one.model_dump_json() for one in kept)


async def test_who_came_second_at_the_same_time_is_shown_no_key(
    door: Entrance,
) -> None:
    verdict = await door.approve("key.create", NEW_KEY)
    outcomes: list[Outcome] = []

    async def use() -> None:
        outcomes.append(await door.entry.perform(verdict))

    async with anyio.create_task_group() as users:
        for _ in range(10):
            users.start_soon(use)

    assert ["key" in outcome.result for outcome in outcomes].count(True) == 1


async def test_a_revoked_key_is_revoked_in_the_store_and_the_ledger(
    door: Entrance,
) -> None:
    eve = await door.holder("eve", "operator")

    await perform(door, "key.revoke", {"id": eve.id})

    row = await door.store.keys.get(eve.id)
    assert row is not None
    assert row.revoked_at is not None
    entries = await door.store.ledger.page(TENANT, limit=100)
    assert [entry.ref for entry in entries if entry.kind == "key"] == [eve.id]
    assert await code_of(door, "key.revoke", {"id": new_id("key")}) == "not_found"


# ------------------------------------------------------------------- freezes


async def test_a_freeze_is_set_seen_and_cleared(door: Entrance) -> None:
    tool = {"scope": "tool", "name": "pay", "reason": "audit"}
    definition = {
        "name": "pay",
        "kind": "builtin",
        "function": "echo",
        "effect": "none",
    }
    await perform(door, "tool.save", {"definition": definition})

    await perform(door, "freeze.set", tool)
    [row] = await door.store.freezes.of(TENANT)
    await perform(door, "freeze.clear", tool)

    assert (row.scope, row.name, row.reason) == ("tool", "pay", "audit")
    assert await door.store.freezes.of(TENANT) == ()
    assert await code_of(door, "freeze.clear", tool) == "not_found"


async def test_a_name_that_nobody_bears_cannot_be_frozen(door: Entrance) -> None:
    nobody = {"scope": "tool", "name": "no-such-tool", "reason": ""}

    assert await code_of(door, "freeze.set", nobody) == "not_found"
    assert await door.store.freezes.of(TENANT) == ()


async def test_a_lost_call_is_not_resumed_without_saying_what_happened(
    door: Entrance,
) -> None:
    lost = ({"node": "pay", "point": "5", "kind": "needs_attention"},)
    row = await stored_run(door, WAITING.model_copy(update={"waiting_on": lost}))

    assert await code_of(door, "run.resume", {"run_id": row.id}) == "invalid"
    assert await code_of(door, "run.retry", {"run_id": row.id}) == "invalid"
    assert await inbox(door, row) == ()


@pytest.mark.parametrize(
    "args", [{"scope": "tenant", "name": "pay"}, {"scope": "tool"}], ids=str
)
async def test_a_freeze_names_what_stands_still_and_no_more(
    door: Entrance, args: JsonObject
) -> None:
    assert await code_of(door, "freeze.set", args) == "invalid"


# ------------------------------------------------------------------- control


async def test_of_many_resumes_of_one_wait_one_wins(door: Entrance) -> None:
    row = await stored_run(door)
    outcomes: list[Outcome] = []

    async def resume() -> None:
        outcomes.append(await perform(door, "run.resume", {"run_id": row.id}))

    async with anyio.create_task_group() as people:
        for _ in range(50):
            people.start_soon(resume)

    won = [outcome for outcome in outcomes if outcome.state == "succeeded"]
    lost = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert (len(won), {error.code for error in lost}) == (1, {"not_waiting"})
    winner = won[0].decision_id
    assert {error.details["winner"]["decision_id"] for error in lost} == {winner}
    [item] = await inbox(door, row)
    assert (item.id, item.kind, item.body["node_id"]) == ("answer:5", "resume", "pay")


async def test_a_retry_and_a_resume_race_for_one_wait(door: Entrance) -> None:
    row = await stored_run(door)

    await perform(door, "run.retry", {"run_id": row.id})

    assert await code_of(door, "run.resume", {"run_id": row.id}) == "not_waiting"
    assert [item.kind for item in await inbox(door, row)] == ["retry"]


async def test_an_answer_done_again_after_a_crash_is_the_same_answer(
    door: Entrance,
) -> None:
    row = await stored_run(door)
    verdict = await door.approve("run.resume", {"run_id": row.id})
    body = {"node_id": "pay", "by": "sub_ada", "decision_id": verdict.decision_id}
    item = InboxItem(id="answer:5", kind="resume", at=door.now, body=body)
    await door.store.runs.put(TENANT, row.id, item)

    assert (await door.entry.perform(verdict)).state == "succeeded"


async def test_a_cancel_that_ended_the_run_before_a_crash_still_succeeded(
    door: Entrance,
) -> None:
    row = await stored_run(door, ended(9, "canceled"))
    verdict = await door.approve("run.cancel", {"run_id": row.id})
    body = {"by": "sub_ada", "decision_id": verdict.decision_id}
    item = InboxItem(id="cancel", kind="cancel", at=door.now, body=body)
    await door.store.runs.put(TENANT, row.id, item)

    assert (await door.entry.perform(verdict)).state == "succeeded"


async def test_a_second_cancel_names_the_first(door: Entrance) -> None:
    row = await stored_run(door, RunState(status="running"))
    first = await perform(door, "run.cancel", {"run_id": row.id, "reason": "no"})

    second = await perform(door, "run.cancel", {"run_id": row.id})

    assert first.result["status"] == "cancel_requested"
    assert second.error is not None
    assert second.error.details["winner"]["decision_id"] == first.decision_id


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("run.cancel", {}),
        ("run.resume", {}),
        ("run.signal", {"name": "paid"}),
    ],
)
async def test_an_ended_run_takes_no_more_answers(
    door: Entrance, action: Action, more: JsonObject
) -> None:
    row = await stored_run(door, ended(9))

    args = {"run_id": row.id, **more}

    assert await code_of(door, action, args) == "not_waiting"
    assert await inbox(door, row) == ()


async def test_an_unknown_run_takes_no_answer_either(door: Entrance) -> None:
    args = {"run_id": new_id("run")}

    assert await code_of(door, "run.cancel", args) == "not_found"


async def test_a_question_to_people_is_not_answered_by_resuming(
    door: Entrance,
) -> None:
    asked = {"node": "ask", "kind": "approval", "approval_id": new_id("apr")}
    state = RunState(
        seq=5, status="paused", paused_reason="approval", waiting_on=(asked,)
    )
    row = await stored_run(door, state)

    args = {"run_id": row.id, "node_id": "ask"}

    assert await code_of(door, "run.resume", args) == "not_waiting"
    assert await inbox(door, row) == ()


async def test_of_several_waiting_nodes_one_is_to_be_named(door: Entrance) -> None:
    waits = ({"node": "a", "point": "5"}, {"node": "b", "point": "5"})
    row = await stored_run(door, WAITING.model_copy(update={"waiting_on": waits}))

    assert await code_of(door, "run.resume", {"run_id": row.id}) == "invalid"
    await perform(door, "run.resume", {"run_id": row.id, "node_id": "b"})

    [item] = await inbox(door, row)
    assert item.body["node_id"] == "b"


async def test_each_signal_is_an_item_of_its_own(door: Entrance) -> None:
    row = await stored_run(door)
    args = {"run_id": row.id, "name": "paid", "payload": {"n": 1}}

    for _ in range(2):
        await perform(door, "run.signal", args)

    items = await inbox(door, row)
    assert [item.kind for item in items] == ["signal", "signal"]
    assert items[0].body["payload"] == {"n": 1}


async def test_an_answer_nudges_the_owner_of_the_run(door: Entrance) -> None:
    row = await stored_run(door)

    async with door.bus.listen("nudge") as nudges:
        await perform(door, "run.resume", {"run_id": row.id})
        with anyio.fail_after(1):
            heard = await anext(nudges)

    assert heard.kind == "run_nudge"
    assert json.loads(heard.body.model_dump_json()) == {"run_id": row.id}


async def test_retrying_an_ended_run_makes_a_new_one_of_the_same_pins(
    door: Entrance,
) -> None:
    row = await stored_run(door, _partly(failed="pay", completed="fetch"))

    outcome = await perform(door, "run.retry", {"run_id": row.id, "from_node": "pay"})

    again = await door.store.runs.get(TENANT, outcome.result["run_id"])
    assert again is not None
    assert outcome.result["retry_of"] == again.retry_of == row.id
    assert again.id == derived_id("run", outcome.decision_id, "0")
    assert (again.pins, again.input) == (row.pins, row.input)
    assert again.carried == {"fetch": {"n": 1}}
    assert again.state.status == "queued"


async def test_retrying_from_a_node_the_run_never_reached_is_refused(
    door: Entrance,
) -> None:
    row = await stored_run(door, _partly(failed="pay", completed="fetch"))

    args = {"run_id": row.id, "from_node": "ship"}

    assert await code_of(door, "run.retry", args) == "not_found"


def _partly(*, failed: str, completed: str) -> RunState:
    """A run that failed after its first node."""
    at: Any = "2026-11-21T04:00:00.000Z"
    steps = {
        completed: NodeState(
            status="completed", attempt=1, finished_at=at, output={"n": 1}
        ),
        failed: NodeState(status="failed", attempt=1, started_at=at),
    }
    return ended(9, "failed").model_copy(update={"steps_state": steps})
