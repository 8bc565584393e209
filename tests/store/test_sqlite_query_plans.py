"""Every statement finds its rows by an index; lists by one that begins with the tenant.

The plans are asked of SQLite itself, for the statements that the verbs really ran.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from contracts import new_id
from store import Append, DecisionFilter, EventFilter, RunFilter, Store
from store.sqlite import MEMORY, SqliteStore
from store.sqlite.schema import STEPS
from tests.support.stored import (
    AT,
    TENANT,
    append,
    at,
    item,
    outcome,
    record,
    reservation,
    run,
)
from tests.support.talks import chat, conversation, turn_append

Call = Callable[[Store], Awaitable[Any]]

ROW, SAID = run(tags=("t",), key="k"), record()
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
    "leases at a restart": lambda s: s.runs.abandoned_by_restart(),
    "record of a door": lambda s: s.door_records.get(TENANT, "d", "k", "n"),
    "open records": lambda s: s.door_records.waiting(TENANT, "d", "k", limit=5),
    "records by name": lambda s: s.door_records.named(TENANT, "d", "k", limit=5),
    "expired records": lambda s: s.door_records.expire(AT),
    "expired keys": lambda s: s.idempotency.expire(AT),
    "live workers": lambda s: s.workers.alive(AT),
    "stale conversations": lambda s: s.conversations.stale(AT, limit=5),
    "leases of conversations at a restart": lambda s: (
        s.conversations.abandoned_by_restart()
    ),
}
"""Every look over all tenants."""

HANDLES: dict[str, Call] = {
    "record": lambda s: s.decisions.record(record()),
    "settle": lambda s: s.decisions.settle(TENANT, SAID.id, outcome(SAID), at(1)),
    "create": lambda s: s.runs.create(
        run(key="other"), (reservation(new_id("run"), 1, 99),)
    ),
    "claim": lambda s: s.runs.claim(TENANT, ROW.id, owner="w", now=AT, until=at(1)),
    "renew": lambda s: s.runs.renew(TENANT, ROW.id, owner="w", until=at(2)),
    "append": lambda s: s.runs.append(TENANT, ROW.id, append(ROW, 2, "run_started")),
    "come back": lambda s: s.runs.append(TENANT, ROW.id, CLAIMED),
    "put": lambda s: s.runs.put(TENANT, ROW.id, item("b")),
    "head": lambda s: s.definitions.head(TENANT, "workflow", "greet"),
    "subject": lambda s: s.keys.subject(TENANT, "ada", "sub_1"),
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


@pytest.fixture
async def statements() -> AsyncIterator[tuple[Store, list[str]]]:
    """A store with a little in it, and the statements that it runs from now on."""
    run_: list[str] = []
    async with SqliteStore.open(MEMORY) as store:
        await store.decisions.record(SAID)
        await store.runs.create(ROW)
        await store.runs.put(TENANT, ROW.id, item("a"))
        await store.runs.append(TENANT, ROW.id, CLAIMED)
        await store.conversations.create(CHAT)
        await store.conversations.put(TENANT, CHAT.id, item("a", "said"))
        await store.conversations.append(TENANT, CHAT.id, SPOKEN)
        await store.database.read(lambda c: c.set_trace_callback(run_.append))
        yield store, run_


def plans(statements: list[str]) -> list[str]:
    """What SQLite says of how each statement finds its rows."""
    with sqlite3.connect(MEMORY) as connection:
        for step in STEPS:
            connection.executescript(step.script)

        found = [
            detail
            for sql in statements
            if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", sql)
            for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {sql}")
        ]

    connection.close()
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_served_by_an_index_that_begins_with_the_tenant(
    statements: tuple[Store, list[str]], name: str
) -> None:
    store, run_ = statements

    await LISTS[name](store)

    told = plans(run_)
    assert any(re.match(r"SEARCH \w+ USING .*\(tenant=\?", each) for each in told)
    assert not [each for each in told if each.startswith("SCAN")]
    assert not [each for each in told if "TEMP B-TREE" in each]


@pytest.mark.parametrize("name", SWEEPS)
async def test_a_sweep_reads_only_rows_it_can_want(
    statements: tuple[Store, list[str]], name: str
) -> None:
    store, run_ = statements

    await SWEEPS[name](store)

    told = plans(run_)
    assert any(each.startswith("SEARCH") for each in told)
    assert not [each for each in told if each.startswith("SCAN")]
    assert not [each for each in told if "TEMP B-TREE" in each]


@pytest.mark.parametrize("name", HANDLES)
async def test_a_verb_on_one_thing_never_scans_a_table(
    statements: tuple[Store, list[str]], name: str
) -> None:
    store, run_ = statements

    await HANDLES[name](store)

    assert len(run_) > 0
    assert not [each for each in plans(run_) if each.startswith("SCAN")]
