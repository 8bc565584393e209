"""What an examination finds of something the service needs."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at, and what to do about it."""

    what: str
    level: Literal["ok", "note", "bad"]
    said: str
    """One line: what it is or, if it is bad, what is wrong and how to mend it."""
