"""Texts that people send, in one form; pure."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

MOST_UNITS = 4_096
"""UTF-16 code units of one message."""

_INVISIBLE = frozenset({"Cc", "Cs", "Cf", "Zs", "Zl", "Zp"})
_START = re.compile(r"/start(?:@\w+)?(?:\s+(.*))?", re.DOTALL)
_PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def tidy(text: str) -> str:
    """A text without what only a terminal would obey, in NFC; empty if none is left.

    At most 4,096 UTF-16 units. Direction marks and joiners are data, and stay.
    """
    kept = [
        one
        for one in text
        if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cs")
    ]
    plain = unicodedata.normalize("NFC", "".join(kept))
    words = _cut(plain, MOST_UNITS).strip()
    return words if any(_is_seen(one) for one in words) else ""


class Start(NamedTuple):
    """``/start``, and what came with it."""

    payload: str
    is_valid: bool


def start_in(text: str) -> Start | None:
    """The ``/start`` that a text is; None if it is something else."""
    match = _START.fullmatch(text)
    if match is None:
        return None

    payload = (match[1] or "").strip()
    return Start(payload, not payload or bool(_PAYLOAD.fullmatch(payload)))


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE


def _cut(text: str, most: int) -> str:
    if units(text) <= most:
        return text

    data = text.encode("utf-16-le")[: most * 2]
    return data.decode("utf-16-le", "ignore")
