"""What every store promises about the policy in force."""

from __future__ import annotations

from typing import Any

import anyio

from contracts import PolicyRow
from store import Store
from tests.support.stored import TENANT, at


def policy(revision: int, **more: Any) -> PolicyRow:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "digest": f"sha256:{revision}",
        "policy": {"rules": [], "half": 0.5},
        "revision": revision,
        "at": at(revision),
    }
    return PolicyRow(**{**given, **more})


async def test_there_is_no_policy_before_the_first(store: Store) -> None:
    assert await store.policies.current(TENANT) is None
    assert not await store.policies.replace(policy(2), from_revision=1)
    assert await store.policies.current(TENANT) is None


async def test_a_change_of_policy_is_seen_by_the_next_read(store: Store) -> None:
    for revision in (1, 2, 3):
        row = policy(revision, revoked_before=at(revision))

        assert await store.policies.replace(row, from_revision=revision - 1)
        assert await store.policies.current(TENANT) == row


async def test_a_change_from_another_revision_is_refused(store: Store) -> None:
    second = policy(2)
    await store.policies.replace(policy(1), from_revision=0)
    await store.policies.replace(second, from_revision=1)

    for late in (0, 1):
        row = policy(late + 1, digest="sha256:late")
        assert not await store.policies.replace(row, from_revision=late)

    assert await store.policies.current(TENANT) == second


async def test_an_own_change_of_policy_come_back_has_happened(store: Store) -> None:
    for revision in (1, 2):
        row = policy(revision)
        for _ in range(2):
            assert await store.policies.replace(row, from_revision=revision - 1)


async def test_of_sixteen_changes_of_policy_from_one_revision_one_happens(
    store: Store,
) -> None:
    await store.policies.replace(policy(1), from_revision=0)
    won: list[PolicyRow] = []

    async def change(n: int) -> None:
        row = policy(2, digest=f"sha256:rival {n}")
        if await store.policies.replace(row, from_revision=1):
            won.append(row)

    async with anyio.create_task_group() as tasks:
        for n in range(16):
            tasks.start_soon(change, n)

    assert [await store.policies.current(TENANT)] == won


async def test_each_tenant_follows_a_policy_of_its_own(store: Store) -> None:
    ours, theirs = policy(1), policy(1, tenant="other", policy={"rules": [1]})
    for row in (ours, theirs):
        assert await store.policies.replace(row, from_revision=0)

    assert await store.policies.current(TENANT) == ours
    assert await store.policies.current("other") == theirs
    assert (await store.counts())["policies"] == 2
