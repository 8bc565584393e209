"""Ids: ``prefix_`` and a UUIDv7 in lower-case Crockford base 32.

New ids sort by time of making; derived ids repeat, so that proposing again after a
crash is the same decision.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, NewType

from pydantic import StringConstraints
from uuid_utils import uuid7

MessageId = NewType("MessageId", str)
DecisionId = NewType("DecisionId", str)
VerdictId = NewType("VerdictId", str)
ApprovalId = NewType("ApprovalId", str)
RunId = NewType("RunId", str)
EventId = NewType("EventId", str)
KeyId = NewType("KeyId", str)
SubjectId = NewType("SubjectId", str)
ConversationId = NewType("ConversationId", str)
Tenant = NewType("Tenant", str)

PREFIXES = frozenset(
    [
        "msg",
        "cnv",
        "trn",
        "dec",
        "vrd",
        "run",
        "evt",
        "bat",
        "art",
        "apr",
        "key",
        "brg",
        "alw",
        "sub",
        "def",
        "eff",
        "led",
        "sch",
    ]
)
"""Every kind of id there is."""

ID_PATTERN = r"^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$"
"""What every id matches."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""Any id, checked for form only."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]


def new_id(prefix: str) -> str:
    """A fresh id, later than every id this process made before."""
    return f"{prefix}_{_encode(uuid7().int)}"


def derived_id(prefix: str, parent: str, *path: object) -> str:
    """The id of this path below a parent id: equal arguments, equal id.

    It keeps the parent's 48 time bits; the rest comes from SHA-256.
    """
    time_bits = _decode(parent[4:14]) << 80
    text = "\x1f".join([prefix, parent, *map(str, path)])
    low = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    return f"{prefix}_{_encode(time_bits | low)}"


def _encode(value: int) -> str:
    """128 bits as 26 characters, two zero bits first, ten bits at a time."""
    pairs = _PAIRS
    return (
        pairs[value >> 120]
        + pairs[value >> 110 & 1023]
        + pairs[value >> 100 & 1023]
        + pairs[value >> 90 & 1023]
        + pairs[value >> 80 & 1023]
        + pairs[value >> 70 & 1023]
        + pairs[value >> 60 & 1023]
        + pairs[value >> 50 & 1023]
        + pairs[value >> 40 & 1023]
        + pairs[value >> 30 & 1023]
        + pairs[value >> 20 & 1023]
        + pairs[value >> 10 & 1023]
        + pairs[value & 1023]
    )


def _decode(text: str) -> int:
    """The number of some digits; the first ten hold the time."""
    value = 0
    for character in text:
        value = value << 5 | _DIGITS.index(character)

    return value
