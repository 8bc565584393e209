"""Escapes for places where text of a template has a meaning of its own."""

from __future__ import annotations

from urllib.parse import quote

_VISIBLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def in_url(text: str) -> str:
    """The text as one segment, parameter or value of a URL."""
    return quote(text, safe="")


def in_header(text: str) -> str:
    """The text as part of a header: all but visible ASCII percent-encoded."""
    return quote(text, safe=_VISIBLE)
