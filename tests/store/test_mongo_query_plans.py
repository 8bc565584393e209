"""Every operation finds its documents by an index; lists by one of the tenant.

The server's profiler tells what the verbs really asked for and how it was answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from contracts import new_id
from store import Append, DecisionFilter, EventFilter, RunFilter, Store
from store.mongo import MongoStore
from tests.support.mongo import emptied
from tests.support.servers import MongoServer
from tests.support.stored import (
    AT,
    TENANT,
    append,
    approval,
    at,
    effect,
    item,
    outcome,
    record,
    reservation,
    run,
)
from tests.support.talks import chat, conversation, turn_append

Call = Callable[[Store], Awaitable[Any]]

ROW, SAID, ASKED = run(tags=("t",), key="k"), record(), record("awaiting")
CHAT = conversation("bot:7")
SPOKEN = turn_append(CHAT, 1, "turn_proposed", messages=chat(1, "a"))
AFTER = f"{AT}{new_id('run')}"
PAGE: dict[str, Any] = {"limit": 5, "after": AFTER}

LISTS: dict[str, Call] = {
    "decisions": lambda s: s.decisions.page(TENANT, DecisionFilter(), **PAGE),
    "decisions by action": lambda s: s.decisions.page(
        TENANT, DecisionFilter(action="tool.call"), **PAGE
    ),
    "decisions by state": lambda s: s.decisions.page(
        TENANT, DecisionFilter(state="refused"), **PAGE
    ),
    "decisions by subject": lambda s: s.decisions.page(
        TENANT, DecisionFilter(subject="ada"), **PAGE
    ),
    "decisions by rule": lambda s: s.decisions.page(
        TENANT, DecisionFilter(rule="night", state="done"), **PAGE
    ),
    "recent actions": lambda s: s.decisions.recent_actions(TENANT, "cnv", 20),
    "approvals": lambda s: s.approvals.page(TENANT, state=None, **PAGE),
    "approvals by state": lambda s: s.approvals.page(TENANT, state="waiting", **PAGE),
    "approvals of a run": lambda s: s.approvals.of_run(TENANT, ROW.id, node_id="n"),
    "ledger": lambda s: s.ledger.page(TENANT, limit=5, after=3),
    "head": lambda s: s.ledger.head(TENANT),
    "unchained": lambda s: s.ledger.unchained(TENANT),
    "ledger of a decision": lambda s: s.ledger.of(TENANT, SAID.id),
    "runs": lambda s: s.runs.page(TENANT, RunFilter(), **PAGE),
    "runs oldest first": lambda s: s.runs.page(
        TENANT, RunFilter(created_after=AT), order="asc", **PAGE
    ),
    "runs by workflow": lambda s: s.runs.page(
        TENANT, RunFilter(workflow="greet"), **PAGE
    ),
    "runs by status": lambda s: s.runs.page(TENANT, RunFilter(status="failed"), **PAGE),
    "runs by batch": lambda s: s.runs.page(TENANT, RunFilter(batch_id="bat"), **PAGE),
    "runs by trigger": lambda s: s.runs.page(
        TENANT, RunFilter(trigger="schedule"), **PAGE
    ),
    "runs by tag": lambda s: s.runs.page(TENANT, RunFilter(tag="t"), **PAGE),
    "open runs": lambda s: s.runs.open_counts(TENANT),
    "events": lambda s: s.runs.events(
        TENANT, ROW.id, limit=5, after=2, where=EventFilter(channel="lifecycle")
    ),
    "inbox": lambda s: s.runs.drain(TENANT, ROW.id),
    "definitions": lambda s: s.definitions.page(
        TENANT, "workflow", limit=5, after="greet"
    ),
    "versions": lambda s: s.definitions.versions(
        TENANT, "workflow", "greet", limit=5, after="9"
    ),
    "runs by tag and status": lambda s: s.runs.page(
        TENANT, RunFilter(tag="t", status="queued"), limit=5
    ),
    "event": lambda s: s.runs.event(TENANT, ROW.id, "evt"),
    "events from the end": lambda s: s.runs.events(
        TENANT, ROW.id, limit=5, after=9, order="desc"
    ),
    "keys": lambda s: s.keys.page(TENANT, **PAGE),
    "freezes": lambda s: s.freezes.of(TENANT),
    "conversations": lambda s: s.conversations.page(TENANT, **PAGE),
    "conversations of a subject": lambda s: s.conversations.page(
        TENANT, subject="ada", **PAGE
    ),
    "turn events": lambda s: s.conversations.events(TENANT, CHAT.id, limit=5, after=1),
    "turn events from the end": lambda s: s.conversations.events(
        TENANT, CHAT.id, limit=5, after=9, order="desc"
    ),
    "history": lambda s: s.conversations.messages(TENANT, CHAT.id, limit=5, after=1),
    "history from the end": lambda s: s.conversations.messages(
        TENANT, CHAT.id, limit=5, order="desc"
    ),
    "inbox of a conversation": lambda s: s.conversations.drain(TENANT, CHAT.id),
}
"""Every list of a tenant, with each of its filters."""

SWEEPS: dict[str, Call] = {
    "untold": lambda s: s.decisions.untold(recorded_before=AT, limit=5),
    "unperformed": lambda s: s.decisions.unperformed(recorded_before=AT, limit=5),
    "due approvals": lambda s: s.approvals.due(AT, limit=5),
    "unfinished effects": lambda s: s.effects.unfinished(claimed_before=AT, limit=5),
    "stale runs": lambda s: s.runs.stale(AT, limit=5),
    "record of a door": lambda s: s.door_records.get(TENANT, "d", "k", "n"),
    "open records": lambda s: s.door_records.waiting(TENANT, "d", "k", limit=5),
    "records by name": lambda s: s.door_records.named(TENANT, "d", "k", limit=5),
    "expired records": lambda s: s.door_records.expire(AT),
    "expired keys": lambda s: s.idempotency.expire(AT),
    "live workers": lambda s: s.workers.alive(AT),
    "stale conversations": lambda s: s.conversations.stale(AT, limit=5),
}
"""Every look over all tenants."""

HANDLES: dict[str, Call] = {
    "record": lambda s: s.decisions.record(record()),
    "settle": lambda s: s.decisions.settle(TENANT, SAID.id, outcome(SAID), at(1)),
    "approval": lambda s: s.approvals.get(TENANT, approval(ASKED).id),
    "chain": lambda s: s.ledger.chain(TENANT),
    "create": lambda s: s.runs.create(
        run(key="other"), (reservation(new_id("run"), 1, 99),)
    ),
    "create again": lambda s: s.runs.create(ROW),
    "claim": lambda s: s.runs.claim(TENANT, ROW.id, owner="w", now=AT, until=at(1)),
    "renew": lambda s: s.runs.renew(TENANT, ROW.id, owner="w", until=at(2)),
    "append": lambda s: s.runs.append(TENANT, ROW.id, append(ROW, 2, "run_started")),
    "come back": lambda s: s.runs.append(TENANT, ROW.id, CLAIMED),
    "put": lambda s: s.runs.put(TENANT, ROW.id, item("b")),
    "head": lambda s: s.definitions.head(TENANT, "workflow", "greet"),
    "subject": lambda s: s.keys.subject(TENANT, "ada", "sub_1"),
    "finish": lambda s: s.effects.finish(effect(SAID)),
    "settle budget": lambda s: s.budgets.settle(TENANT, "r", 1),
    "conversation of an address": lambda s: s.conversations.at(
        TENANT, "telegram", "bot:7"
    ),
    "say": lambda s: s.conversations.put(TENANT, CHAT.id, item("b", "said"), most=9),
    "claim a conversation": lambda s: s.conversations.claim(
        TENANT, CHAT.id, owner="w", now=AT, until=at(1)
    ),
    "end a turn": lambda s: s.conversations.append(
        TENANT,
        CHAT.id,
        turn_append(
            CHAT, 2, "turn_ended", messages=chat(2, "b"), handled=("a",), writer="w2"
        ),
    ),
    "end a turn again": lambda s: s.conversations.append(TENANT, CHAT.id, SPOKEN),
}
"""Verbs on one thing, as a busy store runs them."""

CLAIMED: Append = append(ROW, 1, "run_claimed", handled=("a",), wake_at=AT)
BY_TENANT = {"IDHACK", "EOF"}


@pytest.fixture
async def store(mongo_server: MongoServer) -> AsyncIterator[MongoStore]:
    """A store with a little in it."""
    async with emptied(mongo_server) as opened:
        await opened.decisions.record(SAID)
        await opened.decisions.record(ASKED, approval(ASKED))
        await opened.runs.create(ROW)
        await opened.runs.put(TENANT, ROW.id, item("a"))
        await opened.runs.append(TENANT, ROW.id, CLAIMED)
        await opened.conversations.create(CHAT)
        await opened.conversations.put(TENANT, CHAT.id, item("a", "said"))
        await opened.conversations.append(TENANT, CHAT.id, SPOKEN)
        yield opened


async def plans(store: MongoStore, call: Call) -> list[str]:
    """How the server found what a verb asked for."""
    mongo = store.database.mongo
    await mongo.command("profile", 0)
    await mongo.drop_collection("system.profile")
    await mongo.command("profile", 2)
    await call(store)
    await mongo.command("profile", 0)
    ours = {"ns": {"$not": {"$regex": "system.profile"}}, "planSummary": {"$ne": None}}
    found = await mongo["system.profile"].find(ours).to_list()
    return [each["planSummary"] for each in found]


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_found_by_an_index_that_begins_with_the_tenant(
    store: MongoStore, name: str
) -> None:
    found = await plans(store, LISTS[name])

    assert found != []
    assert all(plan in BY_TENANT or _begins(plan) for plan in found), found


@pytest.mark.parametrize("name", SWEEPS)
async def test_a_sweep_over_all_tenants_is_found_by_an_index(
    store: MongoStore, name: str
) -> None:
    found = await plans(store, SWEEPS[name])

    assert found != []
    assert all(plan.startswith("IXSCAN") for plan in found), found


@pytest.mark.parametrize("name", HANDLES)
async def test_a_verb_on_one_thing_reads_no_whole_collection(
    store: MongoStore, name: str
) -> None:
    found = await plans(store, HANDLES[name])

    assert not any("COLLSCAN" in plan or "SORT" in plan for plan in found), found


def _begins(plan: str) -> bool:
    """Whether each index of a plan begins with the tenant; an ``_id`` does too."""
    parts = plan.split(", IXSCAN")
    return all("{ tenant: 1" in part or "{ _id: 1 }" in part for part in parts)
