"""Takes the text of a template apart into plain text and expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts import InvalidInput
from plans.expressions.diagnosis import excerpt
from plans.expressions.scanning import closing_brace

OPEN = "${"
"""What an expression begins with."""

_ESCAPED = "$${"


@dataclass(frozen=True, slots=True)
class Source:
    """The text of an expression in a template."""

    text: str


def pieces_of(text: str) -> Iterator[str | Source]:
    """Plain text and expressions in turn. Raises InvalidInput."""
    at = 0

    while (found := text.find(OPEN, at)) >= 0:
        if text.startswith(_ESCAPED, found - 1) and found > at:
            yield text[at : found - 1] + OPEN
            at = found + len(OPEN)
            continue

        if found > at:
            yield text[at:found]

        start = found + len(OPEN)
        at = _end(text, start) + 1
        yield Source(text[start : at - 1])

    if at < len(text):
        yield text[at:]


def _end(text: str, start: int) -> int:
    end = closing_brace(text, start)

    if end is None:
        shown = excerpt(text[start:])
        message = f"the ${{ before `{shown}` is never closed"
        raise InvalidInput(message, code="template_syntax")

    return end
