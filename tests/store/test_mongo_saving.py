"""Saving a definition in MongoDB: whoever dies, no version is lost and nobody waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from contracts import Conflict, new_id
from contracts.definitions import Head
from store.mongo import MongoStore
from tests.support.mongo import emptied
from tests.support.servers import MongoServer
from tests.support.stored import TENANT, at


class KilledError(Exception):
    """The process ended right after a write."""


@pytest.fixture
async def store(mongo_server: MongoServer) -> AsyncIterator[MongoStore]:
    async with emptied(mongo_server) as opened:
        yield opened


@pytest.fixture
async def mortal(
    mongo_server: MongoServer, store: MongoStore
) -> AsyncIterator[MongoStore]:
    """Another process on the same database."""
    async with MongoStore.open(mongo_server.url(store.database.mongo.name)) as opened:
        yield opened


def head(text: str) -> Head:
    return Head(
        id="def_greet",
        tenant=TENANT,
        kind="workflow",
        name="greet",
        version=0,
        digest=f"sha256:{text}",
        created_at=at(0),
        created_by="sub_ada",
        decision_id=new_id("dec"),
        body={"name": "greet", "text": text},
    )


def dies_after(monkeypatch: pytest.MonkeyPatch, store: MongoStore, writes: int) -> None:
    """Let a process do so many writes, and no step more."""
    left = writes

    def mortal(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def written(*given: Any, **named: Any) -> Any:
            nonlocal left
            done, left = await write(*given, **named), left - 1
            if left == 0:
                raise KilledError

            return done

        return written

    for name in ("insert", "changed"):
        verb = getattr(store.database, name)
        monkeypatch.setattr(store.database, name, mortal(verb))


async def versions(store: MongoStore) -> list[tuple[int, str]]:
    page = await store.definitions.versions(TENANT, "workflow", "greet", limit=50)
    return [(one.version, one.body["text"]) for one in reversed(page.items)]


@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_a_first_save_that_was_cut_off_is_finished_by_its_decision(
    monkeypatch: pytest.MonkeyPatch, store: MongoStore, mortal: MongoStore, writes: int
) -> None:
    first = head("one")
    dies_after(monkeypatch, mortal, writes)
    with pytest.raises(KilledError):
        await mortal.definitions.save(first, expected_version=None)

    saved = await store.definitions.save(first, expected_version=None)

    assert saved.version == 1
    assert await versions(store) == [(1, "one")]


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
async def test_a_save_that_was_cut_off_holds_nobody_up_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, store: MongoStore, mortal: MongoStore, writes: int
) -> None:
    await store.definitions.save(head("one"), expected_version=None)
    second = head("two")
    dies_after(monkeypatch, mortal, writes)
    with pytest.raises(KilledError):
        await mortal.definitions.save(second, expected_version=1)

    current = await store.definitions.head(TENANT, "workflow", "greet")
    assert current is not None
    with anyio.fail_after(1):
        third = await store.definitions.save(
            head("three"), expected_version=current.version
        )

    if current.version == 2:
        again = await store.definitions.save(second, expected_version=1)
        assert (again.version, again.body["text"]) == (2, "two")
        assert await versions(store) == [(1, "one"), (2, "two"), (3, "three")]
    else:
        with pytest.raises(Conflict):
            await store.definitions.save(second, expected_version=1)

        assert await versions(store) == [(1, "one"), (2, "three")]

    assert third.version == current.version + 1


@pytest.mark.parametrize("writes", [1, 2])
async def test_a_deletion_that_was_cut_off_is_finished_by_another(
    monkeypatch: pytest.MonkeyPatch, store: MongoStore, mortal: MongoStore, writes: int
) -> None:
    await store.definitions.save(head("one"), expected_version=None)
    dies_after(monkeypatch, mortal, writes)
    with pytest.raises(KilledError):
        await mortal.definitions.delete(
            TENANT, "workflow", "greet", expected_version=1, at=at(1)
        )

    await store.definitions.delete(
        TENANT, "workflow", "greet", expected_version=None, at=at(2)
    )
    assert await store.definitions.head(TENANT, "workflow", "greet") is None
    assert (await store.counts())["workflows"] == 0

    again = await store.definitions.save(head("two"), expected_version=None)
    assert again.version == 2
    assert await versions(store) == [(1, "one"), (2, "two")]


async def test_of_many_who_save_at_once_one_wins_each_number(
    store: MongoStore, mortal: MongoStore
) -> None:
    won: list[int] = []

    async def save(by: MongoStore, text: str) -> None:
        for _ in range(5):
            current = await by.definitions.head(TENANT, "workflow", "greet")
            expected = None if current is None else current.version
            try:
                saved = await by.definitions.save(head(text), expected_version=expected)
            except Conflict:
                continue

            won.append(saved.version)
            if saved.version % 3 == 0:
                await by.definitions.delete(
                    TENANT, "workflow", "greet", expected_version=None, at=at(1)
                )

    async with anyio.create_task_group() as saving:
        for n in range(8):
            saving.start_soon(save, (store, mortal)[n % 2], f"{n}")

    await store.definitions.delete(
        TENANT, "workflow", "greet", expected_version=None, at=at(2)
    )
    last = await store.definitions.save(head("last"), expected_version=None)
    assert sorted(won) == [*range(1, last.version)]
    assert [number for number, _ in await versions(store)] == [
        *range(1, last.version + 1)
    ]


async def test_a_head_of_an_earlier_release_is_replaced_and_deleted(
    store: MongoStore,
) -> None:
    await store.definitions.save(head("one"), expected_version=None)
    heads = store.database.collection("heads")
    await heads.update_one({"name": "greet"}, {"$unset": {"decision_id": ""}})

    saved = await store.definitions.save(head("two"), expected_version=1)
    assert saved.version == 2

    await heads.delete_one({"name": "greet"})
    again = await store.definitions.save(head("three"), expected_version=None)
    assert again.version == 3
