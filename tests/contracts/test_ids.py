"""Ids: fresh ones sort by time, derived ones repeat."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import ID_PATTERN, PREFIXES, derived_id, new_id

_PATH = st.lists(st.text(max_size=10) | st.integers(), max_size=4)


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
def test_every_kind_of_id_has_the_form_of_an_id(prefix: str) -> None:
    fresh = new_id(prefix)

    assert re.fullmatch(ID_PATTERN, fresh)
    assert re.fullmatch(ID_PATTERN, derived_id(prefix, fresh, "x"))


def test_ids_of_one_process_sort_in_the_order_of_their_making() -> None:
    made = [new_id("evt") for _ in range(2_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(_PATH)
def test_a_derived_id_is_the_same_each_time(path: list[object]) -> None:
    parent = new_id("run")

    assert derived_id("dec", parent, *path) == derived_id("dec", parent, *path)


@given(_PATH, _PATH)
def test_different_paths_give_different_ids(
    one: list[object], other: list[object]
) -> None:
    parent = "run_01k9zz0000000000000000000"[:30].ljust(30, "0")
    same = [str(part) for part in one] == [str(part) for part in other]

    ids = derived_id("dec", parent, *one), derived_id("dec", parent, *other)
    assert (ids[0] == ids[1]) == same


def test_a_derived_id_depends_on_its_parent_and_its_kind() -> None:
    one, other = new_id("dec"), new_id("dec")

    ids = {
        derived_id("run", one, "0"),
        derived_id("run", other, "0"),
        derived_id("apr", one, "0"),
    }
    assert len({made.partition("_")[2] for made in ids}) == 3


def test_a_derived_id_keeps_the_time_of_its_parent() -> None:
    parent = new_id("dec")
    derived = derived_id("run", parent, "0")

    assert derived[4:13] == parent[4:13]
    earlier = new_id("dec")
    assert derived_id("run", parent, "0")[4:13] <= earlier[4:13]
