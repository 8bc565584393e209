"""What every update becomes before it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic_core import to_json

from gateways.telegram.taming import tame


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ({"a": [1, 1.5, True, None, "x"]}, {"a": [1, 1.5, True, None, "x"]}),
        ({"a\ud83d": "b\ude00"}, {"a\ufffd": "b\ufffd"}),
        ("\ud83d\ude00", "\U0001f600"),
        (
            {"a": 2**53 - 1, "b": 2**53, "c": -(2**70)},
            {"a": 2**53 - 1, "b": None, "c": None},
        ),
        ([float("nan"), float("inf"), 0.5], [None, None, 0.5]),
    ],
)
def test_what_cannot_be_kept_is_null_or_mended(raw: Any, kept: Any) -> None:
    assert tame(raw) == kept


def test_whatever_comes_in_can_be_kept() -> None:
    deep = json.loads('{"a": ' * 500 + "1" + "}" * 500)

    assert to_json(tame(deep)).startswith(b'{"a":{"a":')
