"""A chain names what was done to it."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import LedgerEntry
from contracts.chains import FIRST_PREV, is_signed, link, signed_head, verify

AT = "2026-11-21T03:54:40.123Z"
KEY = b"k" * 32


def entry(n: int, prev: str, **body: object) -> LedgerEntry:
    covered = {"tenant": "default", "kind": "key", "ref": f"key {n}", "at": AT}
    text = json.dumps({**covered, "body": body})
    body_digest = hashlib.sha256(text.encode()).hexdigest()
    return LedgerEntry(
        tenant="default",
        n=n,
        kind="key",
        ref=f"key {n}",
        at=AT,
        body_digest=body_digest,
        prev=prev,
        hash=link(prev, n, body_digest),
        body=dict(body),
        text=text,
    )


def chain(length: int, **body: object) -> list[LedgerEntry]:
    entries: list[LedgerEntry] = []
    for n in range(1, length + 1):
        prev = entries[-1].hash if entries else FIRST_PREV
        entries.append(entry(n, prev, **body))

    return entries


def altered(entries: list[LedgerEntry], n: int, **fields: object) -> list[LedgerEntry]:
    changed = entries[n - 1].model_copy(update=fields)
    return [*entries[: n - 1], changed, *entries[n:]]


def test_a_whole_chain_has_nothing_wrong() -> None:
    assert verify([]) == []
    assert verify(chain(5)) == []


def test_the_first_hash_is_the_one_of_the_documentation() -> None:
    digest = hashlib.sha256(b"{}").hexdigest()

    expected = hashlib.sha256(bytes(32) + b"\0" * 7 + b"\1" + bytes.fromhex(digest))

    assert link(FIRST_PREV, 1, digest) == expected.hexdigest()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "{}"}, "entry 3 was altered: its body does not fit its digest"),
        ({"body_digest": "0" * 64}, "entry 3 was altered: its hash does not fit"),
        ({"body_digest": "no hex"}, "entry 3 was altered: its hash does not fit"),
        ({"hash": "0" * 64}, "entry 3 was altered: its hash does not fit"),
        ({"prev": "0" * 64}, "entry 3 was altered: its hash does not fit"),
        ({"at": AT.replace("3", "4")}, "entry 3 was altered: its at is not"),
        ({"ref": "key 4"}, "entry 3 was altered: its ref is not"),
        ({"kind": "policy"}, "entry 3 was altered: its kind is not"),
        ({"kind": "decision"}, "entry 3 was altered: its kind is not"),
        ({"tenant": "other"}, "entry 3 was altered: its tenant is not"),
        ({"text": None, "body": None}, "the body of entry 3 was removed"),
    ],
)
def test_an_altered_entry_is_named(fields: dict[str, object], problem: str) -> None:
    problems = verify(altered(chain(5), 3, **fields))

    assert any(each.startswith(problem) for each in problems), problems
    assert not any("entry 1" in each or "entry 5" in each for each in problems)


def test_an_entry_forged_with_its_own_hash_does_not_fit_the_next() -> None:
    entries = chain(5)
    forged = entry(3, entries[1].hash, amount=1_000)

    problems = verify([*entries[:2], forged, *entries[3:]])

    assert problems == ["entry 4 does not follow entry 3: one of the two was altered"]


def test_an_entry_forged_to_no_json_at_all_is_named() -> None:
    entries = chain(2)
    digest = hashlib.sha256(b"not json").hexdigest()
    forged = {
        "text": "not json",
        "body_digest": digest,
        "hash": link(entries[0].hash, 2, digest),
    }

    assert verify(altered(entries, 2, **forged)) != []


@pytest.mark.parametrize("n", [1, 3, 4])
def test_a_removed_entry_is_named(n: int) -> None:
    entries = chain(5)
    del entries[n - 1]

    assert verify(entries) == [f"entry {n} was removed"]


def test_a_moved_entry_is_named_and_not_called_removed() -> None:
    first, second, third, fourth = chain(4)

    problems = verify([first, third, second, fourth])

    assert any(each.startswith("entry 2 was moved") for each in problems)
    assert not any("removed" in each for each in problems)


def test_an_entry_that_stands_twice_is_named() -> None:
    entries = chain(3)

    assert verify([*entries, entries[1]]) == ["entry 2 was moved: entry 4 is due here"]


def test_a_chain_that_was_cut_is_whole_without_its_signed_head_and_named_with_it() -> (
    None
):
    entries = chain(5)
    head = signed_head(entries[-1], AT, key_id="first", key=KEY)

    assert verify(entries, head) == []
    assert verify(entries[:3]) == []
    assert verify(entries[:3], head) == [
        "the chain was cut: entries 4 to 5 are not there"
    ]
    assert verify([], head) == ["the chain was cut: entries 1 to 5 are not there"]


def test_a_chain_rewritten_from_its_first_entry_is_not_the_signed_one() -> None:
    head = signed_head(chain(3)[-1], AT, key_id="first", key=KEY)

    (problem,) = verify(chain(4, rewritten=True), head)

    assert problem.startswith("entry 3 is not the one that was signed")


def test_a_chain_may_have_grown_since_its_head_was_signed() -> None:
    entries = chain(5)

    assert verify(entries, signed_head(entries[2], AT, key_id="a", key=KEY)) == []


def test_bodies_may_be_missing_where_retention_has_dropped_them() -> None:
    entries = altered(chain(3), 1, text=None, body=None)
    later = "2026-11-21T03:54:40.124Z"

    assert verify(entries, bodies_since=later) == []
    assert verify(entries) == ["the body of entry 1 was removed"]


def test_a_head_is_genuine_only_with_the_key_of_its_id() -> None:
    head = signed_head(chain(1)[0], AT, key_id="first", key=KEY)

    assert is_signed(head, {"first": KEY, "second": b"x" * 32})
    assert not is_signed(head, {"first": b"x" * 32})
    assert not is_signed(head, {"second": KEY})
    for fields in ({"n": 2}, {"tenant": "b"}, {"hash": "1" * 64}, {"key_id": "second"}):
        forged = head.model_copy(update=fields)
        assert not is_signed(forged, {"first": KEY, "second": KEY})


@given(st.integers(1, 12), st.data())
def test_any_entry_that_is_left_out_or_swapped_is_found(
    length: int, data: st.DataObject
) -> None:
    entries = chain(length)
    head = signed_head(entries[-1], AT, key_id="first", key=KEY)
    kept = data.draw(st.permutations(entries))
    kept = kept[: data.draw(st.integers(0, length))]

    assert (verify(kept, head) == []) == (kept == entries)
