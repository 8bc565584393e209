"""SQLite and MongoDB tell the same, whatever is done to them and in which order.

Both are asked the same things; each answer, refusal and end state must be equal. A
story has a tenant of its own, so that stores need not be emptied in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts import (
    CastVote,
    FreezeRow,
    IdempotencyRow,
    Lease,
    PolicyRow,
    Reservation,
    SluicegateError,
    digest,
)
from contracts.chains import verify
from contracts.definitions import Head
from store import Append, DecisionFilter, RunFilter, Store, open_store
from tests.support.mongo import emptied
from tests.support.servers import MongoServer
from tests.support.stored import (
    approval,
    at,
    chain_of,
    effect,
    ended,
    event,
    item,
    outcome,
    paused,
    record,
    reservation,
    run,
)

DAY = "2026-11-21"
MANY = 1_000
LOG: Any = (
    ("run_started",),
    ("node_start", "node_complete"),
    ("run_paused",),
    ("workflow_complete",),
)
"""What an append may say."""

STATES: Any = ("waiting", "approved", "refused", "expired")
OUTCOMES: Any = ("succeeded", "failed", "unknown", "expired")


class Step(NamedTuple):
    """One thing that is done: a verb, which of several things, and two choices."""

    verb: int
    which: int
    one: int
    two: int


class Story:
    """The things of one tenant, made once, so that both stores are given the same."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        states = ("approved", "awaiting", "approved", "refused")
        self.said = [record(s, tenant=tenant, recorded_at=at(1)) for s in states]
        self.asked = approval(self.said[1])
        self.event = cache(self._event)
        self.runs = [
            run(self.said[0], key="k", tags=("t",)),
            run(self.said[2], key="k", lease=Lease(owner="w1", until=at(20))),
            run(tenant=tenant, state=paused(0)),
        ]

    def approval(self, revision: int, choice: int) -> Any:
        """The approval of a revision; its last vote may have ended it."""
        votes = tuple(
            CastVote(subject=f"sub_{n}", vote="grant", at=at(n))
            for n in range(2, revision + 1)
        )
        state = STATES[choice] if revision > 1 else "waiting"
        given: dict[str, Any] = {"revision": revision, "votes": votes, "state": state}
        return self.asked.model_copy(update=given)

    def append(self, which: int, one: int, two: int) -> Append:
        """One of a few appends to a run: 8 places, two writers, four tellings."""
        first, writer = one % 8 + 1, f"w{one % 2 + 1}"
        types = LOG[two % 4]
        events = tuple(
            self.event(which, first + n, type_, writer) for n, type_ in enumerate(types)
        )
        last = events[-1].seq
        state = {"run_paused": paused(last), "workflow_complete": ended(last)}
        return Append(
            events if two < 12 else (),
            writer,
            state=state.get(types[-1]),
            wake_at=at(30) if two % 3 else None,
            handled=("a",) if two % 2 else (),
            release=two % 5 == 0,
        )

    def reservation(self, which: int, limit: int) -> Reservation:
        """One of a few, of two meters."""
        meter = ("tokens", "runs")[which % 2]
        return reservation(
            f"r{which}", 1 + which, limit, tenant=self.tenant, meter=meter
        )

    def head(self, which: int, one: int) -> Head:
        """One of a few versions of one of two workflows."""
        body = {"name": f"w{which % 2}", "text": str(one)}
        return Head(
            id=f"def_{which % 2}",
            tenant=self.tenant,
            kind="workflow",
            name=f"w{which % 2}",
            version=0,
            digest=digest(body),
            created_at=at(0),
            created_by="sub_ada",
            decision_id=self.said[one % 4].id,
            body=body,
        )

    def _event(self, which: int, seq: int, type_: Any, _writer: str) -> Any:
        return event(self.runs[which % 3], seq, type_)


Verb = Callable[[Store, Story, Step], Awaitable[Any]]


def _policy(t: str, one: int, two: int) -> PolicyRow:
    return PolicyRow(
        tenant=t, digest=str(two), policy={}, revision=one % 3 + 1, at=at(two)
    )


def _freeze(t: str, one: int, two: int) -> FreezeRow:
    return FreezeRow(
        tenant=t, scope="tool", name=str(one % 2), reason=str(two), by="b", at=at(0)
    )


def _named(s: Story, which: int, one: int, two: int) -> IdempotencyRow:
    return IdempotencyRow(
        tenant=s.tenant,
        subject="sub",
        route="POST /runs",
        key=str(one % 2),
        fingerprint=str(two),
        decision_id=s.said[which % 4].id,
        created_at=at(two),
        expires_at=at(two + 4),
    )


def _finished(s: Story, which: int, two: int) -> Any:
    said = s.said[which % 4]
    state = OUTCOMES[two % 3]
    how = {"outcome": outcome(said, state), "finished_at": at(two)}
    return effect(said, state=state, token=str(two), **how)


async def _create(s: Store, t: Story, p: Step) -> Any:
    some = tuple(t.reservation(n, 3) for n in range(p.one % 3))
    return await s.runs.create(t.runs[p.which % 3], some)


VERBS: dict[str, Verb] = {
    "record": lambda s, t, p: s.decisions.record(
        t.said[p.which % 4], t.asked if p.which % 4 == 1 else None
    ),
    "settle": lambda s, t, p: s.decisions.settle(
        t.tenant,
        t.said[p.which % 4].id,
        outcome(t.said[p.which % 4], OUTCOMES[p.one % 4]),
        at(p.two),
    ),
    "vote": lambda s, t, p: s.approvals.change(
        t.approval(p.one % 3 + 2, p.two % 4), from_revision=p.one % 3 + 1
    ),
    "consume": lambda s, t, p: s.effects.consume(
        effect(t.said[p.which % 4], token=str(p.two % 2))
    ),
    "finish": lambda s, t, p: s.effects.finish(_finished(t, p.which, p.two)),
    "chain": lambda s, t, p: _chained(s, t, p.one % 3 + 1),
    "tell": lambda s, t, p: s.ledger.add(
        t.tenant, "key", str(p.one % 2), {}, at(p.two)
    ),
    "create": _create,
    "claim": lambda s, t, p: s.runs.claim(
        t.tenant,
        t.runs[p.which % 3].id,
        owner=f"w{p.one % 2}",
        now=at(p.two),
        until=at(p.two + p.one),
    ),
    "renew": lambda s, t, p: s.runs.renew(
        t.tenant, t.runs[p.which % 3].id, owner=f"w{p.one % 2}", until=at(p.two)
    ),
    "release": lambda s, t, p: s.runs.release(
        t.tenant, t.runs[p.which % 3].id, owner=f"w{p.one % 2}"
    ),
    "append": lambda s, t, p: s.runs.append(
        t.tenant, t.runs[p.which % 3].id, t.append(p.which % 3, p.one, p.two)
    ),
    "put": lambda s, t, p: s.runs.put(
        t.tenant, t.runs[p.which % 3].id, item("ab"[p.one % 2], n=p.two)
    ),
    "reserve": lambda s, t, p: s.budgets.reserve(
        tuple(t.reservation((p.which + n) % 4, p.one % 5) for n in range(p.two % 3))
    ),
    "spend": lambda s, t, p: s.budgets.settle(t.tenant, f"r{p.which % 4}", p.one % 3),
    "save": lambda s, t, p: s.definitions.save(
        t.head(p.which, p.one), expected_version=p.two % 4 or None
    ),
    "delete": lambda s, t, p: s.definitions.delete(
        t.tenant,
        "workflow",
        f"w{p.which % 2}",
        expected_version=p.one % 3 or None,
        at=at(p.two),
    ),
    "subject": lambda s, t, p: s.keys.subject(t.tenant, str(p.which), f"sub_{p.one}"),
    "freeze": lambda s, t, p: s.freezes.set(_freeze(t.tenant, p.one, p.two)),
    "thaw": lambda s, t, p: s.freezes.clear(t.tenant, "tool", str(p.one % 2)),
    "policy": lambda s, t, p: s.policies.replace(
        _policy(t.tenant, p.one, p.two), from_revision=p.one % 3
    ),
    "name": lambda s, t, p: s.idempotency.claim(_named(t, p.which, p.one, p.two)),
    "forget": lambda s, t, p: s.idempotency.forget(
        t.tenant, "sub", "POST /runs", str(p.one % 2)
    ),
    "lease": lambda s, t, p: s.workers.lease(
        f"{t.tenant}/{p.which % 2}",
        f"w{p.one % 2}",
        now=at(p.two),
        until=at(p.two + p.one),
    ),
}
"""Everything that changes something."""

FIELDS = {
    "the gate": ("record", "settle", "vote", "consume", "finish", "chain", "create"),
    "runs": ("create", "claim", "renew", "release", "append", "append", "put"),
    "budgets": ("create", "reserve", "spend", "record", "settle", "append"),
    "the doors": tuple(VERBS),
}
"""What a story is about: the verbs of one are dense enough to meet."""


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 29),
        st.integers(0, 3),
        st.integers(0, 7),
        st.integers(0, 15),
    ),
    max_size=30,
)
_stories = count(1)


@pytest.fixture(scope="module")
async def both(mongo_server: MongoServer) -> AsyncIterator[tuple[Store, Store]]:
    """The two stores that are compared."""
    async with open_store("sqlite://:memory:") as ours, emptied(mongo_server) as other:
        yield ours, other


async def answer(store: Store, story: Story, verb: str, step: Step) -> Any:
    """What a store returns or refuses."""
    try:
        return await VERBS[verb](store, story, step)
    except SluicegateError as error:
        return type(error), error.code, error.details


async def everything(store: Store, story: Story) -> dict[str, Any]:
    """All that a store tells of a story."""
    t, runs = story.tenant, store.runs
    return {
        "decisions": [await store.decisions.get(t, each.id) for each in story.said],
        "listed": await store.decisions.page(t, DecisionFilter(), limit=3),
        "approved": await store.decisions.page(t, DecisionFilter("approved"), limit=9),
        "open": {
            each.id
            for each in await store.decisions.unperformed(
                recorded_before=at(9), limit=MANY
            )
            if each.tenant == t
        },
        "approval": await store.approvals.of_decision(t, story.asked.decision_id),
        "effects": [await store.effects.get(t, each.id, "0") for each in story.said],
        "runs": [await runs.get(t, each.id) for each in story.runs],
        "logs": [await runs.events(t, each.id, limit=MANY) for each in story.runs],
        "inboxes": [await runs.drain(t, each.id) for each in story.runs],
        "pages": await runs.page(t, RunFilter(tag="t"), limit=9),
        "counts": await runs.open_counts(t),
        "stale": {
            each.id for each in await runs.stale(at(25), limit=MANY) if each.tenant == t
        },
        "tokens": await store.budgets.use(t, "tenant", "default", "tokens", DAY),
        "started": await store.budgets.use(t, "tenant", "default", "runs", DAY),
        "heads": await store.definitions.page(t, "workflow", limit=9),
        "versions": await store.definitions.versions(t, "workflow", "w0", limit=9),
        "freezes": await store.freezes.of(t),
        "policy": await store.policies.current(t),
        "told": await _told(store, story),
    }


@pytest.mark.parametrize("field", FIELDS)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],  # to make a failing story shorter takes minutes
)
@given(steps=STEPS)
async def test_both_stores_answer_alike_and_end_alike(
    both: tuple[Store, Store], field: str, steps: list[Step]
) -> None:
    story = Story(f"tenant {next(_stories)}")
    verbs = FIELDS[field]
    for store in both:
        await _judged(store, story)

    for step in steps:
        verb = verbs[step.verb % len(verbs)]
        ours, others = [await answer(store, story, verb, step) for store in both]
        assert ours == others, (verb, step)

    ours, others = [await everything(store, story) for store in both]
    for name, told in ours.items():
        assert told == others[name], name


async def _judged(store: Store, story: Story) -> None:
    """Nothing is carried out before it is on record."""
    for each in story.said:
        asked = story.asked if each.id == story.asked.decision_id else None
        await store.decisions.record(each, asked)


async def _chained(store: Store, story: Story, limit: int) -> None:
    """How many entries that were is the store's own affair."""
    await store.ledger.chain(story.tenant, limit=limit)


async def _told(store: Store, story: Story) -> dict[str, Any]:
    """What the ledger tells of each thing; of several, their order is left open."""
    entries = await chain_of(store, story.tenant)
    assert verify(entries) == []
    told: dict[str, Any] = {}
    for each in entries:
        told.setdefault(each.ref, []).append((each.kind, each.at, each.body_digest))

    return told
