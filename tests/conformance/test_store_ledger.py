"""What every store promises about the ledger."""

from __future__ import annotations

import hashlib

import anyio

from contracts import CastVote, SignedHead
from contracts.chains import FIRST_PREV, link, verify
from store import Store
from tests.support.stored import (
    TENANT,
    approval,
    at,
    chain_of,
    effect,
    outcome,
    record,
    run,
    told,
)


async def test_recording_and_settling_are_chained_in_their_order(store: Store) -> None:
    said = await store.decisions.record(record())
    await store.decisions.settle(TENANT, said.id, outcome(said, result=1), at(1))

    first, second = await chain_of(store)

    assert (first.n, first.kind, first.ref, first.at) == (
        1,
        "decision",
        said.id,
        said.recorded_at,
    )
    assert (second.n, second.kind, second.ref, second.at) == (
        2,
        "outcome",
        said.id,
        at(1),
    )
    assert (first.prev, second.prev) == (FIRST_PREV, first.hash)
    assert second.body == outcome(said, result=1).plain()


async def test_the_hash_is_the_one_the_documentation_promises(store: Store) -> None:
    await store.decisions.record(record())

    (entry,) = await chain_of(store)

    assert entry.text is not None
    assert entry.body_digest == hashlib.sha256(entry.text.encode()).hexdigest()
    assert entry.hash == link(entry.prev, entry.n, entry.body_digest)


async def test_the_body_of_a_decision_is_what_never_changes_of_its_record(
    store: Store,
) -> None:
    said = await store.decisions.record(record())
    (before,) = await chain_of(store)
    await store.decisions.settle(TENANT, said.id, outcome(said), at(1))

    (after, _) = await chain_of(store)

    assert after == before
    unchanging = {"state", "outcome", "settled_at"}
    assert after.body == said.model_dump(mode="json", exclude=unchanging)


async def test_votes_and_the_end_of_asking_are_chained(store: Store) -> None:
    said = record("awaiting")
    opened = approval(said)
    await store.decisions.record(said, opened)
    votes = tuple(
        CastVote(subject=who, vote="refuse", at=at(2)) for who in ("eve", "bob")
    )
    one = opened.model_copy(update={"votes": votes[:1], "revision": 2})
    two = one.model_copy(
        update={
            "votes": votes,
            "revision": 3,
            "state": "refused",
            "decided_at": at(3),
        }
    )
    await store.approvals.change(one, from_revision=1)
    await store.approvals.change(two, from_revision=2)

    entries = await told(store, said.id)

    assert [entry.kind for entry in entries] == ["decision", "vote", "vote", "approval"]
    assert entries[1].body is not None
    assert entries[1].body["vote"]["subject"] == "eve"
    assert entries[3].body is not None
    assert (entries[3].body["state"], entries[3].at) == ("refused", at(3))


async def test_the_outcome_of_a_run_and_of_an_effect_are_chained(store: Store) -> None:
    started = await store.decisions.record(record())
    await store.runs.create(run(started))
    saved = await store.decisions.record(record(action="workflow.save"))
    await store.effects.consume(effect(saved))
    await store.effects.finish(
        effect(
            saved, state="failed", outcome=outcome(saved, "failed"), finished_at=at(1)
        )
    )

    for said in (started, saved):
        kinds = [entry.kind for entry in await told(store, said.id)]
        assert kinds == ["decision", "outcome"]


async def test_an_entry_of_no_decision_is_added_once(store: Store) -> None:
    for _ in range(2):
        await store.ledger.add(TENANT, "policy", "sha256:9", {"rate": 0.1}, at(1))

    await store.ledger.add(TENANT, "policy", "sha256:9", {"rate": 0.1}, at(2))

    entries = await chain_of(store)
    assert [(entry.at, entry.body) for entry in entries] == [
        (at(1), {"rate": 0.1}),
        (at(2), {"rate": 0.1}),
    ]


async def test_each_tenant_has_a_chain_of_its_own(store: Store) -> None:
    for tenant in (TENANT, "other", TENANT):
        await store.decisions.record(record(tenant=tenant))

    assert [entry.n for entry in await chain_of(store)] == [1, 2]
    assert [entry.n for entry in await chain_of(store, "other")] == [1]
    assert verify(await chain_of(store)) == verify(await chain_of(store, "other")) == []


async def test_pages_of_the_ledger_follow_each_other(store: Store) -> None:
    for n in range(5):
        await store.ledger.add(TENANT, "key", f"key {n}", {}, at(n))

    await store.ledger.chain(TENANT)
    first = await store.ledger.page(TENANT, limit=3)
    rest = await store.ledger.page(TENANT, limit=3, after=first[-1].n)

    assert [entry.ref for entry in first + rest] == [f"key {n}" for n in range(5)]


async def test_the_head_is_the_last_entry_without_its_body(store: Store) -> None:
    assert await store.ledger.head(TENANT) is None
    for n in range(3):
        await store.ledger.add(TENANT, "freeze", str(n), {}, at(n))

    last = (await chain_of(store))[-1]

    assert await store.ledger.head(TENANT) == last.model_copy(
        update={"body": None, "text": None}
    )


async def test_the_signed_head_that_reaches_farthest_is_kept(store: Store) -> None:
    def head(n: int) -> SignedHead:
        return SignedHead(
            tenant=TENANT, n=n, hash="0" * 64, at=at(n), key_id="k", seal="0" * 64
        )

    assert await store.ledger.signed_head(TENANT) is None
    for n in (2, 5, 3):
        await store.ledger.keep_head(head(n))

    assert await store.ledger.signed_head(TENANT) == head(5)
    assert await store.ledger.signed_head("other") is None


async def test_the_chain_verifies_after_many_writers_at_once(store: Store) -> None:
    async def one(n: int) -> None:
        said = await store.decisions.record(record(reason=str(n)))
        if n % 3 == 0:
            await store.runs.create(run(said))
        elif n % 3 == 1:
            await store.decisions.settle(TENANT, said.id, outcome(said), at(n))
        else:
            await store.ledger.add(TENANT, "definition", said.id, {"n": n}, at(n))

    async with anyio.create_task_group() as tasks:
        for n in range(60):
            tasks.start_soon(one, n)

    entries = await chain_of(store)
    assert [entry.n for entry in entries] == list(range(1, 121))
    assert verify(entries) == []
