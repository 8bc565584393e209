"""Group J: what JSON bodies may be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput, read_json

BIG = 2**53

REFUSED = [
    ("json_invalid", b""),
    ("json_invalid", b"  \n "),
    ("json_invalid", b"{"),
    ("json_invalid", b'{"a": }'),
    ("json_invalid", b"{'a': 1}"),
    ("json_invalid", b'{"a": 1,}'),
    ("json_invalid", b"[1 2]"),
    ("json_invalid", b"+1"),
    ("json_invalid", b'"\n"'),
    ("json_invalid", b'"\\x41"'),
    ("json_invalid", b'"a'),
    ("json_invalid", b"NaN"),
    ("json_invalid", b'{"a": [NaN]}'),
    ("json_invalid", b"[Infinity]"),
    ("json_invalid", b"-Infinity"),
    ("json_invalid", rb'"\ud800"'),
    ("json_invalid", rb'{"\uDFFF": 1}'),
    ("json_invalid", rb'["\udc00\ud800"]'),
    ("json_invalid", b"\x0c1"),
    ("json_not_utf8", b"\xef\xbb\xbf{}"),
    ("json_not_utf8", "{}".encode("utf-16")),
    ("json_not_utf8", "{}".encode("utf-16-le")),
    ("json_not_utf8", "{}".encode("utf-16-be")),
    ("json_not_utf8", "{}".encode("utf-32-be")),
    ("json_not_utf8", b'"\xff"'),
    ("json_not_utf8", b'"\xed\xa0\x80"'),
    ("json_not_utf8", b'"\xc0\xaf"'),
    ("json_duplicate_key", b'{"a": 1, "a": 2}'),
    ("json_duplicate_key", b'{"a": {"b": [{"c": 1, "d": 2, "c": 3}]}}'),
    ("json_duplicate_key", rb'{"a": 1, "\u0061": 2}'),
    ("json_trailing_data", b"{} {}"),
    ("json_trailing_data", b"{}x"),
    ("json_trailing_data", b"1 ]"),
    ("json_trailing_data", b"01"),
    ("json_trailing_data", b"1."),
    ("json_trailing_data", b"{}\x00"),
    ("number_out_of_range", b"9" * 5_000),
    ("number_out_of_range", str(2**63).encode()),
    ("number_out_of_range", str(-(2**63) - 1).encode()),
    ("number_out_of_range", str(BIG).encode()),
    ("number_out_of_range", str(-BIG).encode()),
    ("number_out_of_range", b"[1e999]"),
    ("number_out_of_range", b"-1e309"),
    ("json_too_deep", b"[" * 65 + b"]" * 65),
    ("json_too_deep", b'{"a":' * 65 + b"1" + b"}" * 65),
    ("json_too_deep", b"[" * 100_000),
    ("json_too_deep", b"[" * 100_000 + b"]" * 100_000),
    ("json_too_deep", b'{"a":' * 90_000 + b"1" + b"}" * 90_000),
]


@pytest.mark.parametrize(("code", "data"), REFUSED, ids=lambda part: repr(part)[:30])
def test_what_could_be_read_in_two_ways_is_refused_by_its_code(
    code: str, data: bytes
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_json(data)

    assert caught.value.code == code


def _code(data: bytes, max_bytes: int) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_json(data, max_bytes=max_bytes)

    return caught.value.code


def test_limits_on_size_are_named_by_their_codes() -> None:
    keys = json.dumps({str(n): 0 for n in range(100_001)}).encode()
    items = b"[" + b",".join([b"0"] * 1_000_000) + b"]"
    spread = json.dumps([[0] * 1_000] * 101).encode()
    long = b'{"text": "' + b"x" * (2**20 + 1) + b'"}'

    assert _code(b" " * 11, 10) == "body_too_large"
    assert _code(keys, 2**24) == "too_many_items"
    assert _code(items, 2**24) == "too_many_items"
    assert _code(spread, 2**24) == "too_many_items"
    assert _code(long, 2**24) == "string_too_long"


def test_the_largest_allowed_values_are_read() -> None:
    most = json.dumps([0] * 100_000).encode()
    longest = b'"' + b"x" * 2**20 + b'"'

    assert read_json(b"[" * 64 + b"]" * 64)
    assert read_json(str(BIG - 1).encode()) == BIG - 1
    assert read_json(str(1 - BIG).encode()) == 1 - BIG
    assert len(read_json(most, max_bytes=2**24)) == 100_000  # type: ignore[arg-type]
    assert len(read_json(longest, max_bytes=2**24)) == 2**20  # type: ignore[arg-type]


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(InvalidInput, match="'twice'"):
        read_json(b'{"a": {"once": 1, "twice": 2, "twice": 3}}')


def test_a_long_key_is_shown_in_part() -> None:
    key = "k" * 5_000
    with pytest.raises(InvalidInput) as caught:
        read_json(f'{{"{key}": 1, "{key}": 2}}'.encode())

    assert "k" * 64 in caught.value.message
    assert "k" * 65 not in str(caught.value.details) + caught.value.message


def test_a_syntax_error_tells_line_and_column() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_json(b'{"a": 1,\n "b": x}')

    assert caught.value.details["problems"][0]["pointer"] == "2:7"


def test_a_limit_inside_is_told_with_its_pointer() -> None:
    long = json.dumps({"a/b": [0, "x" * (2**20 + 1)]}).encode()
    with pytest.raises(InvalidInput) as caught:
        read_json(long, max_bytes=2**24)

    assert caught.value.details["problems"][0]["pointer"] == "/a~1b/1"


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert read_json(rb'"\ud83d\ude00"') == "😀"


def test_the_worst_bodies_are_refused_without_being_built() -> None:
    assert _code(b"[" * 2**20, 2**20) == "json_too_deep"
    assert _code(b"[0," * 300_000, 2**20) == "json_too_deep"
    assert _code(b"{" + b'"a":0,' * 140_000 + b'"a":0}', 2**20) == "json_duplicate_key"
    assert _code(b"9" * 2**20, 2**20) == "number_out_of_range"


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - BIG, BIG - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\n\\😀é\0"), inner),
    max_leaves=20,
)


@given(_VALUES, st.booleans())
def test_every_json_value_is_read_as_it_was_written(
    value: object, escaped: bool
) -> None:
    data = json.dumps(value, ensure_ascii=escaped).encode()

    assert read_json(data) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    refusals = {
        "json_invalid",
        "json_not_utf8",
        "json_trailing_data",
        "number_out_of_range",
    }

    assert _outcome(data) in {"read", *refusals}


def _outcome(data: bytes) -> str:
    try:
        read_json(data)
    except InvalidInput as error:
        return error.code

    return "read"
