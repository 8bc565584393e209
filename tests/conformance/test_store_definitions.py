"""What every store promises about definitions."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from contracts import Conflict, InvalidInput, digest, new_id
from contracts.definitions import Head
from store import Store
from tests.support.stored import AT, TENANT, at


def head(name: str = "greet", **more: Any) -> Head:
    body = more.pop("body", {"name": name, "text": f"Hello {new_id('def')}"})
    given: dict[str, Any] = {
        "id": f"def_{name}",
        "tenant": TENANT,
        "kind": "workflow",
        "name": name,
        "version": 0,
        "digest": digest(body),
        "created_at": AT,
        "created_by": "sub_ada",
        "decision_id": new_id("dec"),
        "body": body,
    }
    return Head(**{**given, **more})


async def saved(store: Store, *heads: Head) -> list[Head]:
    stored: list[Head] = []
    versions: dict[tuple[str, str, str], int] = {}
    for each in heads:
        name = (each.tenant, each.kind, each.name)
        before = versions.get(name)
        stored.append(await store.definitions.save(each, expected_version=before))
        versions[name] = stored[-1].version

    return stored


async def test_a_new_name_begins_with_version_one(store: Store) -> None:
    said = head()

    stored = await store.definitions.save(said, expected_version=None)

    assert stored == said.model_copy(update={"version": 1})
    assert await store.definitions.head(TENANT, "workflow", "greet") == stored
    assert await store.definitions.archived(TENANT, said.digest) == said.body


async def test_a_definition_is_found_by_its_name_and_by_its_id(store: Store) -> None:
    (stored,) = await saved(store, head(id="def_1"))

    assert await store.definitions.head(TENANT, "workflow", "greet") == stored
    assert await store.definitions.head(TENANT, "workflow", "def_1") == stored
    assert await store.definitions.head(TENANT, "tool", "greet") is None
    assert await store.definitions.head(TENANT, "workflow", "def_2") is None


async def test_each_save_makes_the_next_version_and_keeps_the_others(
    store: Store,
) -> None:
    first, second = await saved(store, head(), head(published_version=1))

    assert (first.version, second.version) == (1, 2)
    assert await store.definitions.head(TENANT, "workflow", "greet") == second
    for each in (first, second):
        read = store.definitions.version(TENANT, "workflow", "greet", each.version)
        assert await read == each

    assert await store.definitions.version(TENANT, "workflow", "greet", 3) is None


async def test_the_head_is_the_saved_one_by_name_and_id_after_each_save(
    store: Store,
) -> None:
    first = head(id="def_1")
    stored = await store.definitions.save(first, expected_version=None)
    for _ in range(3):
        for key in ("greet", "def_1"):
            assert await store.definitions.head(TENANT, "workflow", key) == stored

        stored = await store.definitions.save(
            head(id="def_1"), expected_version=stored.version
        )


async def test_the_same_decision_saves_once(store: Store) -> None:
    said = head()
    first = await store.definitions.save(said, expected_version=None)
    await store.definitions.save(head(), expected_version=1)

    assert await store.definitions.save(said, expected_version=None) == first
    await store.definitions.delete(
        TENANT, "workflow", "greet", expected_version=2, at=AT
    )
    assert await store.definitions.save(said, expected_version=None) == first
    assert await store.definitions.head(TENANT, "workflow", "greet") is None


async def test_a_name_that_is_taken_cannot_be_created(store: Store) -> None:
    (first,) = await saved(store, head())

    with pytest.raises(Conflict) as refused:
        await store.definitions.save(head(), expected_version=None)

    assert refused.value.code == "name_conflict"
    assert refused.value.details == {"current": 1}
    assert await store.definitions.head(TENANT, "workflow", "greet") == first


@pytest.mark.parametrize(("name", "current"), [("greet", 1), ("other", None)])
async def test_another_version_than_expected_is_a_conflict(
    store: Store, name: str, current: int | None
) -> None:
    await saved(store, head())

    with pytest.raises(Conflict) as refused:
        await store.definitions.save(head(name), expected_version=7)

    assert refused.value.code == "version_conflict"
    assert refused.value.details == {"current": current}


async def test_of_sixteen_savers_of_one_version_one_wins(store: Store) -> None:
    await saved(store, head())
    won: list[Head] = []
    lost: list[object] = []

    async def save() -> None:
        try:
            won.append(await store.definitions.save(head(), expected_version=1))
        except Conflict as conflict:
            lost.append(conflict.details)

    async with anyio.create_task_group() as tasks:
        for _ in range(16):
            tasks.start_soon(save)

    assert await store.definitions.head(TENANT, "workflow", "greet") == won[0]
    assert len(won) == 1
    assert lost == [{"current": 2}] * 15


async def test_deleting_removes_the_head_and_leaves_the_archive(store: Store) -> None:
    (first,) = await saved(store, head(id="def_1"))
    delete: dict[str, Any] = {"expected_version": 1, "at": AT}

    assert await store.definitions.delete(TENANT, "workflow", "greet", **delete)

    for key in ("greet", "def_1"):
        assert await store.definitions.head(TENANT, "workflow", key) is None

    assert await store.definitions.version(TENANT, "workflow", "greet", 1) is None
    assert (await store.definitions.page(TENANT, "workflow", limit=9)).items == ()
    versions = await store.definitions.versions(TENANT, "workflow", "greet", limit=9)
    assert versions.items == ()
    assert await store.definitions.archived(TENANT, first.digest) == first.body
    assert not await store.definitions.delete(TENANT, "workflow", "greet", **delete)


async def test_deleting_another_version_than_expected_is_a_conflict(
    store: Store,
) -> None:
    await saved(store, head(), head())

    with pytest.raises(Conflict) as refused:
        await store.definitions.delete(
            TENANT, "workflow", "greet", expected_version=1, at=AT
        )

    assert refused.value.code == "version_conflict"
    assert refused.value.details == {"current": 2}
    assert await store.definitions.delete(
        TENANT, "workflow", "greet", expected_version=None, at=AT
    )


async def test_a_name_made_again_goes_on_counting(store: Store) -> None:
    await saved(store, head(), head())
    await store.definitions.delete(
        TENANT, "workflow", "greet", expected_version=None, at=AT
    )

    again = await store.definitions.save(head(), expected_version=None)

    assert again.version == 3


async def test_definitions_of_another_tenant_are_as_absent_as_unknown_ones(
    store: Store,
) -> None:
    (ours,) = await saved(store, head())
    definitions = store.definitions

    assert await definitions.head("other", "workflow", "greet") is None
    assert await definitions.head("other", "workflow", ours.id) is None
    assert await definitions.version("other", "workflow", "greet", 1) is None
    assert await definitions.archived("other", ours.digest) is None
    assert (await definitions.page("other", "workflow", limit=9)).items == ()
    theirs = await definitions.save(head(tenant="other"), expected_version=None)
    assert theirs.version == 1
    assert await definitions.head(TENANT, "workflow", "greet") == ours


async def test_a_body_without_a_name_is_kept_in_the_archive(store: Store) -> None:
    body = {"half": 0.5, "big": 12345678901234567890, "text": "ü\u2028"}
    for _ in range(2):
        await store.definitions.keep(TENANT, "sha256:7", body)

    assert await store.definitions.archived(TENANT, "sha256:7") == body
    assert await store.definitions.archived(TENANT, "sha256:8") is None
    assert (await store.counts())["definitions"] == 1


async def test_a_list_of_definitions_goes_by_name(store: Store) -> None:
    heads = await saved(store, *(head(name) for name in ("c", "a", "d", "b")))
    await saved(store, head("t", kind="tool"))

    first = await store.definitions.page(TENANT, "workflow", limit=2)
    assert [each.name for each in first.items] == ["a", "b"]
    await saved(store, head("aa"))
    rest = await store.definitions.page(TENANT, "workflow", limit=2, after=first.next)
    assert rest == ((heads[0], heads[2]), None)


async def test_a_list_of_versions_goes_from_the_newest(store: Store) -> None:
    stored = await saved(store, *(head() for _ in range(5)))
    versions = store.definitions.versions

    first = await versions(TENANT, "workflow", "greet", limit=3)
    assert first.items == tuple(stored[:1:-1])
    await store.definitions.save(head(), expected_version=5)
    rest = await versions(TENANT, "workflow", "greet", limit=3, after=first.next)
    assert rest == ((stored[1], stored[0]), None)
    with pytest.raises(InvalidInput) as refused:
        await versions(TENANT, "workflow", "greet", limit=3, after="newest")

    assert refused.value.code == "invalid_cursor"


async def test_heads_are_counted_by_the_name_of_their_collection(
    store: Store,
) -> None:
    kinds: Any = {
        "workflow": "workflows",
        "tool": "tools",
        "stage": "stages",
        "node": "nodes",
        "flow": "flows",
        "knowledge": "knowledge",
    }
    for kind in kinds:
        await saved(store, head(kind=kind, created_at=at(1)))

    counts = await store.counts()

    assert {kinds[kind]: counts[kinds[kind]] for kind in kinds} == dict.fromkeys(
        kinds.values(), 1
    )
