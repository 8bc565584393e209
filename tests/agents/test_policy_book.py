"""The policy in force: one good policy always, every change in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from agents.coordinator import PolicyBook
from contracts import ConfigurationError, Policy, PolicyRow, Rule, StoreUnavailable
from store import Faults, FaultyStore, Store, open_store
from tests.support.clock import FakeClock
from tests.support.gatehouse import TENANT

REVOKED = "2026-11-21T00:00:05.000Z"
FIRST = Policy(default="deny")
SECOND = Policy(default="ask")
BROKEN = Policy(rules=(Rule(id="r", when="nobody == 1", then="allow"),))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://:memory:") as opened:
        yield opened


class Shelf:
    """Where the policy is loaded from."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __call__(self) -> Policy:
        return self.policy


async def policies_in(store: Store) -> list[str]:
    entries = await store.ledger.page(TENANT, limit=99)
    return [entry.ref for entry in entries if entry.kind == "policy"]


async def test_the_policy_of_the_start_is_in_the_ledger_once(store: Store) -> None:
    for _ in range(3):
        await PolicyBook(Shelf(FIRST), store, FakeClock()).enter()

    assert await policies_in(store) == [FIRST.digest]


async def test_a_changed_policy_replaces_the_old_one_and_is_in_the_ledger(
    store: Store,
) -> None:
    shelf = Shelf(FIRST)
    book = PolicyBook(shelf, store, FakeClock())
    await book.enter()
    shelf.policy = SECOND

    changed = await book.reload()

    assert changed
    assert book.current.digest == SECOND.digest
    assert await policies_in(store) == [FIRST.digest, SECOND.digest]


async def test_going_back_to_an_earlier_policy_is_a_change_as_well(
    store: Store,
) -> None:
    shelf, clock = Shelf(FIRST), FakeClock()
    book = PolicyBook(shelf, store, clock)
    await book.enter()
    for policy in (SECOND, FIRST):
        await clock.advance(1)
        shelf.policy = policy
        await book.reload()

    assert await policies_in(store) == [FIRST.digest, SECOND.digest, FIRST.digest]


async def test_an_unchanged_policy_changes_nothing(store: Store) -> None:
    book = PolicyBook(Shelf(FIRST), store, FakeClock())
    await book.enter()

    assert not await book.reload()
    assert await policies_in(store) == [FIRST.digest]


async def test_a_broken_policy_leaves_the_old_one_and_raises_an_alarm(
    store: Store,
) -> None:
    shelf = Shelf(FIRST)
    with capture_logs() as lines:
        book = PolicyBook(shelf, store, FakeClock())
        shelf.policy = BROKEN
        with pytest.raises(ConfigurationError) as raised:
            await book.reload()

    assert book.current.digest == FIRST.digest
    assert raised.value.details["problems"][0]["code"] == "cel_unknown_name"
    assert [line["alarm"] for line in lines if line["event"] == "alarm"] == [
        "policy_broken"
    ]


async def test_a_broken_policy_at_the_start_is_refused(store: Store) -> None:
    with pytest.raises(ConfigurationError):
        PolicyBook(Shelf(BROKEN), store, FakeClock())


async def test_no_policy_is_in_force_that_the_ledger_does_not_know(
    store: Store,
) -> None:
    faults, shelf = Faults(), Shelf(FIRST)
    book = PolicyBook(shelf, FaultyStore(store, faults), FakeClock())
    await book.enter()
    shelf.policy = SECOND
    faults.next("ledger.add", "unavailable")

    with pytest.raises(StoreUnavailable):
        await book.reload()

    assert book.current.digest == FIRST.digest


async def test_a_change_by_one_process_is_followed_by_another(store: Store) -> None:
    shelf = Shelf(FIRST)
    changer = PolicyBook(shelf, store, FakeClock())
    follower = PolicyBook(Shelf(FIRST), store, FakeClock())
    await changer.enter()
    shelf.policy = SECOND
    await changer.reload()

    await follower.follow()

    assert follower.current.digest == SECOND.digest
    assert await policies_in(store) == [FIRST.digest, SECOND.digest]


async def test_a_process_that_starts_puts_its_policy_in_force_for_all(
    store: Store,
) -> None:
    first = PolicyBook(Shelf(FIRST), store, FakeClock())
    await first.enter()

    await PolicyBook(Shelf(SECOND), store, FakeClock()).enter()
    await first.follow()

    assert first.current.digest == SECOND.digest


async def test_what_one_process_revokes_no_other_honours(store: Store) -> None:
    changer, follower = (PolicyBook(Shelf(FIRST), store, FakeClock()) for _ in range(2))
    await changer.enter()
    await changer.revoke("2026-11-21T00:00:05.000Z")
    await changer.revoke("2026-11-21T00:00:01.000Z")

    await follower.follow()

    assert follower.revoked_before == "2026-11-21T00:00:05.000Z"
    assert follower.current.digest == FIRST.digest


async def test_a_policy_that_cannot_be_read_here_is_not_followed_but_alarmed(
    store: Store,
) -> None:
    book = PolicyBook(Shelf(FIRST), store, FakeClock())
    await book.enter()
    row = await store.policies.current(TENANT)
    assert row is not None
    newer = {"digest": "sha256:of another release", "policy": {"novelty": 1}}
    changed = row.model_copy(
        update={**newer, "revision": row.revision + 1, "revoked_before": REVOKED}
    )
    await store.policies.replace(changed, from_revision=row.revision)

    with capture_logs() as lines:
        await book.follow()

    assert book.current.digest == FIRST.digest
    assert book.revoked_before == REVOKED
    assert [line["alarm"] for line in lines] == ["policy_not_followed"]


async def test_a_look_that_comes_late_does_not_undo_a_reload(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, read = Shelf(FIRST), store.policies.current
    book = PolicyBook(shelf, store, FakeClock())
    await book.enter()
    await book.revoke(REVOKED)
    old = await read(TENANT)
    shelf.policy = SECOND

    async def late(tenant: str) -> PolicyRow | None:
        monkeypatch.setattr(store.policies, "current", read)
        await book.reload()
        return old if tenant == TENANT else None

    monkeypatch.setattr(store.policies, "current", late)
    await book.follow()

    assert book.current.digest == SECOND.digest
