"""One thing that is wrong with what was said."""

from __future__ import annotations

from contracts.message import Message


class Problem(Message):
    """Where it is, its code, and one sentence."""

    pointer: str
    """JSON Pointer into what was said; empty for the whole."""

    code: str
    """A key of the error table."""

    message: str
