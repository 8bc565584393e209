"""The canonical form: one text for one meaning, as docs/canonical.md says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput, canonical, digest, normal, read_json

_PAGE = Path(__file__).parents[2] / "docs" / "canonical.md"
_LARGEST = 2**53 - 1


def _vectors(kind: str) -> list[dict[str, str]]:
    block = re.search(rf"```json {kind}\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    rows: list[dict[str, str]] = json.loads(block[1])
    return rows


@pytest.mark.parametrize("row", _vectors("vectors"), ids=lambda row: row["name"])
def test_the_vectors_of_the_page_hold(row: dict[str, str]) -> None:
    value = read_json(row["text"].encode())

    assert canonical(value) == row["canonical"].encode()
    assert digest(value) == f"sha256:{row['sha256']}"


@pytest.mark.parametrize("row", _vectors("refused"), ids=lambda row: row["text"])
def test_what_the_page_refuses_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_json(row["text"].encode())

    assert caught.value.code == row["code"]


_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["1.5", "e+", "NaN", "0123456789012345", '"', "\\", '\\"', "\ue000", "😀", "\x7f"]
)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_EXACT = _FLOATS.filter(lambda x: abs(x) < 2**53 or abs(x) >= 1e21)


def _values(floats: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST)
    odd = st.sampled_from([0, -0.0, 1e-7, 1e21, 5e-324, _LARGEST, -_LARGEST])
    return st.recursive(
        leaves | odd | floats | _TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
        max_leaves=25,
    )


_VALUES = _values(_FLOATS)


@given(_VALUES)
def test_the_quick_way_and_the_book_agree(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(_values(_EXACT))
def test_the_canonical_form_is_its_own(value: Any) -> None:
    once = canonical(value)

    assert canonical(read_json(once, max_bytes=len(once))) == once


@given(st.dictionaries(_TEXTS, _VALUES, min_size=2))
def test_the_order_of_keys_does_not_count(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))

    assert digest(turned) == digest(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "number_invalid"),
        ([float("-inf")], "number_invalid"),
        ({"a": 2**53}, "number_out_of_range"),
        (-(2**53), "number_out_of_range"),
        ("\ud800", "invalid"),
        ({"\udfff": 1}, "invalid"),
        (b"bytes", "invalid"),
        ({1, 2}, "invalid"),
        ({None: 1, "a": 2}, "invalid"),
        (10**5_000, "invalid"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_json_cannot_say_exactly_is_refused(value: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical(value)

    assert caught.value.code == code


def test_a_value_without_end_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]

    with pytest.raises(InvalidInput) as caught:
        canonical(value)

    assert caught.value.code == "json_too_deep"


def test_identifiers_have_one_form() -> None:
    assert normal("Cafe\u0301") == normal("Caf\u00e9") == "Caf\u00e9"
