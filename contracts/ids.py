"""Ids: ``prefix_`` and a UUIDv7 in lower-case Crockford base 32.

New ids sort by time of making; derived ids repeat, so that proposing again after a
crash is the same decision.
"""

from __future__ import annotations

import base64
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

_RFC4648 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD = b"0123456789abcdefghjkmnpqrstvwxyz"
_TO_CROCKFORD = bytes.maketrans(_RFC4648, _CROCKFORD)
_FROM_CROCKFORD = bytes.maketrans(_CROCKFORD, _RFC4648)


def new_id(prefix: str) -> str:
    """A fresh id, later than every id this process made before."""
    return f"{prefix}_{_encode(uuid7().int)}"


def derived_id(prefix: str, parent: str, *path: object) -> str:
    """The id of this path below a parent id: equal arguments, equal id.

    It keeps the parent's 48 time bits; the rest comes from SHA-256.
    """
    time_bits = _decode(parent.partition("_")[2]) >> 80 << 80
    text = "\x1f".join([prefix, parent, *map(str, path)])
    low = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    return f"{prefix}_{_encode(time_bits | low)}"


def _encode(value: int) -> str:
    """128 bits as 26 characters, two zero bits first."""
    raw = (value << 6).to_bytes(17, "big")
    return base64.b32encode(raw)[:26].translate(_TO_CROCKFORD).decode()


def _decode(text: str) -> int:
    raw = text.encode().translate(_FROM_CROCKFORD) + b"AA===="
    return int.from_bytes(base64.b32decode(raw), "big") >> 6
