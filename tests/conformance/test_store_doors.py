"""What every store promises about keys, freezes, idempotency keys and workers."""

from __future__ import annotations

from typing import Any

import anyio

from contracts import Capabilities, FreezeRow, IdempotencyRow, KeyRow, new_id
from store import Store
from tests.support.stored import AT, TENANT, at


def key(**more: Any) -> KeyRow:
    given: dict[str, Any] = {
        "id": new_id("key"),
        "tenant": TENANT,
        "subject": "sub_ada",
        "subject_name": "ada",
        "roles": ("operator",),
        "secret_digest": "sha256:0",
        "created_at": AT,
    }
    return KeyRow(**{**given, **more})


def freeze(**more: Any) -> FreezeRow:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "scope": "tool",
        "name": "mail",
        "reason": "spam",
        "by": "sub_ada",
        "at": AT,
    }
    return FreezeRow(**{**given, **more})


def named(decision: str = "", **more: Any) -> IdempotencyRow:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "subject": "sub_ada",
        "route": "POST /runs",
        "key": "k1",
        "fingerprint": "sha256:0",
        "decision_id": decision or new_id("dec"),
        "created_at": at(0),
        "expires_at": at(60),
    }
    return IdempotencyRow(**{**given, **more})


def worker(name: str, second: int, **more: Any) -> Capabilities:
    return Capabilities(worker=name, started_at=at(0), seen_at=at(second), **more)


async def test_a_subject_has_one_id_per_tenant_and_name(store: Store) -> None:
    ids: set[str] = set()

    async def ask() -> None:
        ids.add(await store.keys.subject(TENANT, "ada", new_id("sub")))

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(ask)

    assert len(ids) == 1
    assert await store.keys.subject("other", "ada", "sub_1") == "sub_1"
    assert await store.keys.subject(TENANT, "eve", "sub_2") == "sub_2"


async def test_a_key_is_read_by_its_id_alone(store: Store) -> None:
    ours, theirs = key(), key(tenant="other", expires_at=at(9), label="ci")
    for each in (ours, theirs):
        assert await store.keys.create(each) == each

    assert await store.keys.get(ours.id) == ours
    assert await store.keys.get(theirs.id) == theirs
    assert await store.keys.get(key().id) is None


async def test_of_two_keys_of_one_id_the_first_stays(store: Store) -> None:
    first = key()
    await store.keys.create(first)

    assert await store.keys.create(key(id=first.id, label="second")) == first
    assert await store.keys.get(first.id) == first


async def test_a_revoked_key_stays_revoked(store: Store) -> None:
    ours = key()
    await store.keys.create(ours)
    assert await store.keys.get(ours.id) == ours

    assert await store.keys.revoke(TENANT, ours.id, at(1))
    revoked = ours.model_copy(update={"revoked_at": at(1)})
    assert await store.keys.get(ours.id) == revoked
    assert await store.keys.revoke(TENANT, ours.id, at(2))
    assert await store.keys.create(ours) == revoked
    assert await store.keys.get(ours.id) == revoked


async def test_a_key_of_another_tenant_can_be_neither_listed_nor_revoked(
    store: Store,
) -> None:
    ours = key()
    await store.keys.create(ours)

    assert not await store.keys.revoke("other", ours.id, at(1))
    assert (await store.keys.page("other", limit=9)).items == ()
    assert await store.keys.get(ours.id) == ours


async def test_a_list_of_keys_shows_the_newest_first(store: Store) -> None:
    keys = [await store.keys.create(key(created_at=at(n))) for n in range(5)]

    first = await store.keys.page(TENANT, limit=3)
    await store.keys.create(key(created_at=at(9)))
    rest = await store.keys.page(TENANT, limit=3, after=first.next)

    assert [*first.items, *rest.items] == keys[::-1]


async def test_a_freeze_is_seen_by_the_next_read(store: Store) -> None:
    assert await store.freezes.of(TENANT) == ()
    tool, tenant = freeze(), freeze(scope="tenant", name="")
    for row in (tool, tenant, freeze(reason="again"), freeze(tenant="other")):
        await store.freezes.set(row)

    assert set(await store.freezes.of(TENANT)) == {tool, tenant}
    assert await store.freezes.clear(TENANT, "tool", "mail")
    assert await store.freezes.of(TENANT) == (tenant,)
    assert not await store.freezes.clear(TENANT, "tool", "mail")
    assert len(await store.freezes.of("other")) == 1


async def test_a_read_beside_a_freeze_does_not_hide_it_afterwards(
    store: Store,
) -> None:
    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(store.freezes.of, TENANT)
            tasks.start_soon(store.freezes.set, freeze(name=str(n)))
            tasks.start_soon(store.freezes.of, TENANT)

    assert len(await store.freezes.of(TENANT)) == 20


async def test_a_freeze_whose_end_nobody_awaited_is_seen_all_the_same(
    store: Store,
) -> None:
    await store.freezes.of(TENANT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.freezes.set, freeze())
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    before = await store.freezes.of(TENANT)
    await store.freezes.set(freeze(name="other"))
    await store.freezes.clear(TENANT, "tool", "other")

    assert await store.freezes.of(TENANT) == before


async def test_of_twenty_posts_with_one_idempotency_key_one_is_first(
    store: Store,
) -> None:
    first: list[IdempotencyRow] = []
    told: set[IdempotencyRow] = set()

    async def claim() -> None:
        row, ours = await store.idempotency.claim(named())
        told.add(row)
        if ours:
            first.append(row)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(claim)

    assert told == set(first)
    assert len(first) == 1


async def test_idempotency_keys_are_apart_by_tenant_subject_and_route(
    store: Store,
) -> None:
    await store.idempotency.claim(named())

    for more in ({"tenant": "other"}, {"subject": "eve"}, {"route": "POST /tools"}):
        assert (await store.idempotency.claim(named(**more)))[1]


async def test_an_idempotency_key_is_free_again_after_its_time(store: Store) -> None:
    first, second = named(), named(created_at=at(59))
    third = named(created_at=at(60), expires_at=at(99))
    await store.idempotency.claim(first)

    assert await store.idempotency.claim(second) == (first, False)
    assert await store.idempotency.claim(third) == (third, True)
    assert await store.idempotency.claim(named(created_at=at(61))) == (third, False)


async def test_a_forgotten_idempotency_key_is_free_again(store: Store) -> None:
    row = named()
    await store.idempotency.claim(row)
    await store.idempotency.forget("other", row.subject, row.route, row.key)
    assert not (await store.idempotency.claim(named()))[1]

    await store.idempotency.forget(TENANT, row.subject, row.route, row.key)

    assert (await store.idempotency.claim(named()))[1]


async def test_idempotency_keys_whose_time_is_over_are_removed(store: Store) -> None:
    for n in range(5):
        await store.idempotency.claim(named(key=str(n), expires_at=at(n)))

    assert await store.idempotency.expire(at(2)) == 3
    assert (await store.counts())["idempotency"] == 2


async def test_any_number_of_idempotency_keys_is_removed_by_one_call(
    store: Store,
) -> None:
    async with anyio.create_task_group() as tasks:
        for n in range(1_001):
            tasks.start_soon(store.idempotency.claim, named(key=str(n)))

    assert await store.idempotency.expire(at(60)) == 1_001


async def test_workers_seen_lately_are_alive_with_what_they_last_said(
    store: Store,
) -> None:
    for second in (1, 5):
        await store.workers.heartbeat(worker("w1", second, running=second))

    await store.workers.heartbeat(worker("w2", 3))

    (alive,) = await store.workers.alive(at(4))
    assert (alive.worker, alive.running) == ("w1", 5)
    assert len(await store.workers.alive(at(3))) == 2


async def test_a_process_is_alive_in_every_role_it_has(store: Store) -> None:
    for name, roles in {"g": ("gateway",), "all": ("coordinator", "worker")}.items():
        await store.workers.heartbeat(worker(name, 5, roles=roles))

    alive = await store.workers.alive(at(0))

    assert {each.worker: each.roles for each in alive} == {
        "g": ("gateway",),
        "all": ("coordinator", "worker"),
    }


async def test_a_process_that_left_is_not_alive(store: Store) -> None:
    for name in ("w1", "w2"):
        await store.workers.heartbeat(worker(name, 5))

    for _ in range(2):
        await store.workers.leave("w1")

    assert [each.worker for each in await store.workers.alive(at(0))] == ["w2"]


async def test_workers_long_gone_are_forgotten(store: Store) -> None:
    await store.workers.heartbeat(worker("w1", 1))
    late = worker("w2", 1).model_copy(update={"seen_at": "2026-12-01T00:00:00.000Z"})
    await store.workers.heartbeat(late)

    assert (await store.counts())["capabilities"] == 1


async def test_a_named_lease_has_one_holder_until_its_time_is_over(
    store: Store,
) -> None:
    holders: list[str] = []

    async def take(owner: str) -> None:
        if await store.workers.lease("clock", owner, now=at(0), until=at(15)):
            holders.append(owner)

    async with anyio.create_task_group() as tasks:
        for n in range(16):
            tasks.start_soon(take, f"w{n}")

    (holder,) = holders
    assert await store.workers.lease("clock", holder, now=at(10), until=at(25))
    assert not await store.workers.lease("clock", "late", now=at(24), until=at(40))
    assert await store.workers.lease("clock", "late", now=at(25), until=at(40))
    assert await store.workers.lease("sweep", "late", now=at(0), until=at(9))


async def test_a_ping_answers_and_every_collection_is_counted(store: Store) -> None:
    await store.ping()
    counts = await store.counts()

    assert {
        "decisions",
        "approvals",
        "effects",
        "runs",
        "run_events",
        "run_inbox",
        "definitions",
        "keys",
        "subjects",
        "freeze",
        "usage",
        "budgets",
        "ledger",
        "idempotency",
        "capabilities",
        "leases",
        "meta",
    } <= counts.keys()


async def test_closing_twice_is_harmless(store: Store) -> None:
    await store.close()
    await store.close()
