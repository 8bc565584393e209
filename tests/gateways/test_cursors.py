"""Cursors: they come back as they went out, and only to their own list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput
from gateways.http import Cursors

CURSORS = Cursors(b"k" * 32)
RUNS = ("default", "/api/v1/runs", "status=")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
listings = st.lists(texts, min_size=1, max_size=5).map(tuple)


@given(after=texts, listing=listings)
def test_a_cursor_comes_back_as_where_the_page_begins(
    after: str, listing: tuple[str, ...]
) -> None:
    shown = CURSORS.out(after, listing)

    assert CURSORS.back(shown, listing) == after


def test_the_last_page_has_no_cursor_and_the_first_needs_none() -> None:
    assert CURSORS.out(None, RUNS) is None
    assert CURSORS.back(None, RUNS) is None


@given(after=texts, listing=listings, other=listings)
def test_a_cursor_of_another_list_is_refused(
    after: str, listing: tuple[str, ...], other: tuple[str, ...]
) -> None:
    if other != listing:
        with pytest.raises(InvalidInput) as refused:
            CURSORS.back(CURSORS.out(after, listing), other)

        assert refused.value.code == "invalid_cursor"


def test_what_stands_in_two_filters_is_not_what_stands_in_one() -> None:
    shown = CURSORS.out("x", ("default", "a", "b"))

    with pytest.raises(InvalidInput):
        CURSORS.back(shown, ("default", "ab", ""))


def test_a_cursor_with_any_character_changed_is_refused() -> None:
    shown = CURSORS.out("run_01m7y4ad52evcba6zat7tp05c2", RUNS)
    assert shown is not None

    for n, character in enumerate(shown):
        bent = f"{shown[:n]}{'A' if character != 'A' else 'B'}{shown[n + 1 :]}"
        with pytest.raises(InvalidInput):
            CURSORS.back(bent, RUNS)


@given(texts)
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        CURSORS.back(cursor, RUNS)

    assert refused.value.code == "invalid_cursor"


def test_a_cursor_of_another_installation_is_refused() -> None:
    shown = Cursors(b"j" * 32).out("x", RUNS)

    with pytest.raises(InvalidInput):
        CURSORS.back(shown, RUNS)


def test_a_cursor_shows_nothing_that_a_url_would_have_to_escape() -> None:
    shown = CURSORS.out("2026-11-21T04:00:00.000Z/run_1", RUNS)

    assert shown is not None
    assert shown.replace("-", "a").replace("_", "a").isalnum()
