"""A store in a file: what a restart finds, and what the ledger says of tampering."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contracts import CastVote, ConfigurationError, Lease, LedgerEntry
from contracts.chains import signed_head, verify
from store import Store, open_store
from tests.support.checkout import ROOT
from tests.support.stored import (
    AT,
    TENANT,
    append,
    approval,
    at,
    ended,
    outcome,
    record,
    run,
)

KEY = b"k" * 32


async def lived_in(path: Path) -> None:
    """A store in which a run ended, a person voted, and one decision waits."""
    async with open_store(f"sqlite:///{path}") as store:
        said, row = record(), None
        await store.decisions.record(said)
        row = run(said, lease=Lease(owner="w1", until=at(15)))
        await store.runs.create(row)
        end = append(row, 1, "workflow_complete", state=ended(1))
        await store.runs.append(TENANT, row.id, end)
        asks = record("awaiting")
        opened = approval(asks)
        await store.decisions.record(asks, opened)
        vote = CastVote(subject="eve", vote="grant", at=at(2))
        voted = opened.model_copy(update={"votes": (vote,), "revision": 2})
        await store.approvals.change(voted, from_revision=1)
        await store.ledger.add(TENANT, "policy", "sha256:9", {"mode": "warn"}, at(3))
        waits = await store.decisions.record(record())
        await store.decisions.settle(TENANT, waits.id, outcome(waits), at(4))
        last = await store.ledger.head(TENANT)
        assert last is not None
        await store.ledger.keep_head(signed_head(last, AT, key_id="k", key=KEY))


async def ledger_of(store: Store) -> tuple[LedgerEntry, ...]:
    return await store.ledger.page(TENANT, limit=999)


async def test_a_reopened_store_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.db"
    await lived_in(path)
    async with open_store(f"sqlite:///{path}") as store:
        before = await ledger_of(store)
        await store.ledger.add(TENANT, "policy", "sha256:8", {}, at(9))

        entries = await ledger_of(store)

        assert [entry.n for entry in entries] == list(range(1, 8 + 1))
        assert entries[:-1] == before
        assert verify(entries, await store.ledger.signed_head(TENANT)) == []


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        (
            "UPDATE decisions SET body = replace(body, 'Ada', 'Eve')",
            "entry 1 was altered: its body does not fit its digest",
        ),
        ("UPDATE decisions SET body = 'x'", "entry 1 was altered"),
        ("DELETE FROM decisions", "the body of entry 1 was removed"),
        (
            "UPDATE ledger SET body = replace(body, 'grant', 'refuse') WHERE n = 4",
            "entry 4 was altered: its body does not fit its digest",
        ),
        (
            "UPDATE ledger SET body = NULL WHERE n = 4",
            "the body of entry 4 was removed",
        ),
        ("UPDATE ledger SET at = '2026' WHERE n = 5", "entry 5 was altered: its at"),
        (
            "UPDATE ledger SET kind = 'vote' WHERE n = 5",
            "entry 5 was altered: its kind",
        ),
        ("UPDATE ledger SET ref = 'x' WHERE n = 5", "entry 5 was altered: its ref"),
        ("UPDATE ledger SET hash = x'00' WHERE n = 5", "entry 5 was altered: its hash"),
        ("UPDATE ledger SET prev = x'' WHERE n = 5", "entry 5 was altered: its hash"),
        ("DELETE FROM ledger WHERE n = 3", "entry 3 was removed"),
        ("DELETE FROM ledger WHERE n = 1", "entry 1 was removed"),
        ("DELETE FROM ledger WHERE n > 5", "the chain was cut: entries 6 to 7"),
        ("DELETE FROM ledger", "the chain was cut: entries 1 to 7"),
        (
            (
                "UPDATE ledger SET n = CASE n WHEN 3 THEN -4 WHEN 4 THEN -3 ELSE n END;"
                "UPDATE ledger SET n = abs(n)"
            ),
            "entry 3 was altered: its hash does not fit",
        ),
    ],
)
async def test_tampering_with_the_file_is_named(
    tmp_path: Path, tampering: str, problem: str
) -> None:
    path = tmp_path / "store.db"
    await lived_in(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(tampering)

    async with open_store(f"sqlite:///{path}") as store:
        head = await store.ledger.signed_head(TENANT)
        problems = verify(await ledger_of(store), head)

    assert any(each.startswith(problem) for each in problems), problems


async def test_the_documented_verifier_agrees(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await lived_in(path)
    documented = _verifier_of((ROOT / "docs" / "ledger.md").read_text(encoding="utf-8"))
    async with open_store(f"sqlite:///{path}") as store:
        lines = [entry.model_dump() for entry in await ledger_of(store)]

    assert documented(lines) == []
    lines[2]["text"] += " "
    assert documented(lines) == ["entry 3: its body does not fit its digest"]
    del lines[3]
    assert documented(lines) == [
        "entry 3: its body does not fit its digest",
        "entry 5: entry 4 is due here",
    ]


def _verifier_of(page: str) -> Any:
    """The function ``problems`` that the page prints, and nothing but it."""
    code = page.split("```python\n")[1].split("```", maxsplit=1)[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page is ours, and this is its test
    return names["problems"]


async def test_the_leases_of_a_process_that_died_are_void_at_the_next_start(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    row = run(lease=Lease(owner="w1", until=at(15)))
    async with open_store(url) as store:
        await store.runs.create(row)

    async with open_store(url) as store:
        assert await store.runs.stale(at(0), limit=9) == ()
        assert await store.runs.abandoned_by_restart() == 1
        (found,) = await store.runs.stale(at(0), limit=9)

    assert (found.id, found.lease) == (row.id, None)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:store.db", "postgres://h/x", "", "a.db"],
)
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no store"):
        async with open_store(url):
            pass


async def test_a_file_is_owned_by_one_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url):
        with pytest.raises(ConfigurationError) as refused:
            async with open_store(url):
                pass

    assert refused.value.code == "store_in_use"
