"""What every store promises about the records of doors."""

from __future__ import annotations

from typing import Any

import anyio

from contracts import DoorRecord
from store import Store
from tests.support.stored import TENANT, at


def record(name: str, **more: Any) -> DoorRecord:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "door": "telegram",
        "kind": "update",
        "name": name,
        "body": {"text": "Hé 👋"},
        "at": at(0),
    }
    return DoorRecord(**{**given, **more})


async def test_of_many_who_add_a_name_one_is_first(store: Store) -> None:
    firsts: list[int] = []

    async def add(n: int) -> None:
        stored, ours = await store.door_records.add(record("7", body={"n": n}))
        if ours:
            firsts.append(n)

        seen.add(stored.body["n"])

    seen: set[int] = set()
    async with anyio.create_task_group() as adders:
        for n in range(20):
            adders.start_soon(add, n)

    assert len(firsts) == 1
    assert seen == {*firsts}


async def test_of_two_changes_from_one_version_one_happens(store: Store) -> None:
    first, _ = await store.door_records.add(record("7", is_open=True))
    second = first.model_copy(update={"version": 2, "body": {"by": "a"}})
    other = first.model_copy(update={"version": 2, "body": {"by": "b"}})

    assert await store.door_records.change(second)
    assert await store.door_records.change(second), "an own change come back"
    assert not await store.door_records.change(other)
    found = await store.door_records.get(TENANT, "telegram", "update", "7")
    assert found == second


async def test_open_records_wait_in_the_order_they_were_added(store: Store) -> None:
    names = [f"{n * 7 % 10}" for n in range(10)]
    for name in names:
        await store.door_records.add(record(name, is_open=True))

    await store.door_records.add(record("closed"))
    done = record(names[0], is_open=False, version=2)
    assert await store.door_records.change(done)

    found = await store.door_records.waiting(TENANT, "telegram", "update", limit=5)
    assert [one.name for one in found] == names[1:6]


async def test_records_of_a_kind_are_read_by_name(store: Store) -> None:
    for name in ("c", "a", "b"):
        await store.door_records.add(record(name, kind="account"))
        await store.door_records.add(record(name, kind="other"))

    key = (TENANT, "telegram", "account")
    first = await store.door_records.named(*key, limit=2)
    rest = await store.door_records.named(*key, limit=2, after="b")
    assert [one.name for one in (*first, *rest)] == ["a", "b", "c"]


async def test_what_is_over_is_removed_and_the_name_is_free(store: Store) -> None:
    await store.door_records.add(record("1", expires_at=at(5)))
    await store.door_records.add(record("2", expires_at=at(50)))
    await store.door_records.add(record("3"))

    assert await store.door_records.expire(at(5)) == 1
    assert await store.door_records.expire(at(5)) == 0
    assert (await store.door_records.add(record("1")))[1]
    assert not (await store.door_records.add(record("2")))[1]


async def test_tenants_doors_and_kinds_are_apart(store: Store) -> None:
    await store.door_records.add(record("1", is_open=True))

    for key in (
        ("other", "telegram", "update"),
        (TENANT, "http", "update"),
        (TENANT, "telegram", "delivery"),
    ):
        assert await store.door_records.get(*key, "1") is None
        assert await store.door_records.waiting(*key, limit=5) == ()
        assert await store.door_records.named(*key, limit=5) == ()
