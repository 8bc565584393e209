"""Replies in parts: none too long, no grapheme cut, nothing lost."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from gateways.telegram.shaping import parts_of
from gateways.telegram.texts import units

SCRIPTS = {
    "latin": "ab",
    "accents": "e\u0301o\u0308",
    "emoji families": "👩‍👩‍👧",
    "flags": "🇩🇪🇫🇷",
    "hangul": "\u1112\u1161\u11ab",
    "devanagari": "क्षि",
    "arabic": "بِسْمِ",
    "direction marks": "\u202eab\u202c",
}


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def of_units(script: str, wanted: int) -> str:
    """A text of a script of exactly so many units, filled up with letters."""
    whole = script * (wanted // units(script))
    return whole + "x" * (wanted - units(whole))


@pytest.mark.parametrize("wanted", [1, 4_096, 4_097, 12_000])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_parts_rejoin_and_cut_no_grapheme(script: str, wanted: int) -> None:
    text = of_units(script, wanted)

    parts = [one.text for one in parts_of(text)]

    assert "".join(parts) == text
    assert all(units(one) <= 4_096 for one in parts)
    assert sum(len(graphemes(one)) for one in parts) == len(graphemes(text))
    assert len(parts) <= wanted // 4_000 + 1


def test_text_is_parted_at_lines_before_words_before_letters() -> None:
    lines = "one two\n" * 3

    assert [one.text for one in parts_of(lines, 20)] == [
        "one two\none two\n",
        "one two",
    ]
    assert [one.text for one in parts_of("aaaa bbbb cccc", 10)] == [
        "aaaa bbbb ",
        "cccc",
    ]
    assert [one.text for one in parts_of("abcdefgh", 5)] == ["abcde", "fgh"]


def test_an_entity_that_passes_an_edge_goes_on_in_the_next_part() -> None:
    parts = parts_of("**" + "a" * 12 + "**", 8)

    assert [one.text for one in parts] == ["aaaaaaaa", "aaaa"]
    assert [one.entities for one in parts] == [
        [{"type": "bold", "offset": 0, "length": 8}],
        [{"type": "bold", "offset": 0, "length": 4}],
    ]


def test_nothing_a_model_wrote_is_fetched_by_itself() -> None:
    [part] = parts_of("# Title\n![secret](http://evil.example/?q=1) [here](http://x)")

    assert part.text.split() == ["Title", "secret", "here"]
    assert not any("url" in one for one in part.entities)


@given(st.text(max_size=300), st.integers(8, 40))
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_no_part_is_too_long(text: str, most: int) -> None:
    parts = parts_of(text.encode("utf-8", "ignore").decode(), most)

    assert all(units(one.text) <= most for one in parts)
    for part in parts:
        for entity in part.entities:
            assert entity["offset"] >= 0
            assert entity["offset"] + entity["length"] <= units(part.text)
