"""Finds the tokens of CEL text without parsing it, in one pass over the text."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ | //[^\n]* )
    | (?: [rR][bB]? | [bB][rR] )
      (?: \"\"\"[\s\S]*?\"\"\" | '''[\s\S]*?''' | "[^"\n]*" | '[^'\n]*' )
    | [bB]?
      (?: \"\"\"(?:\\[\s\S]|[^\\])*?\"\"\" | '''(?:\\[\s\S]|[^\\])*?'''
        | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | `[^`\n]*`
    | \w+
    | [\s\S]
    """,
    re.VERBOSE,
)


def tokens(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """The tokens from ``start`` on, without blanks and comments; never fails."""
    found = _TOKEN.finditer(text, start)
    return (token for token in found if token["blank"] is None)


def closing_brace(text: str, start: int) -> int | None:
    """Where the ``}`` is that closes a brace opened just before ``start``."""
    depth = 1

    for token in tokens(text, start):
        depth += _BRACES.get(token[0], 0)
        if depth == 0:
            return token.start()

    return None


def size(text: str) -> tuple[int, int]:
    """How many tokens the text has, and how deep its brackets nest."""
    count = depth = deepest = 0

    for token in tokens(text):
        count += 1
        depth += _BRACKETS.get(token[0], 0)
        deepest = max(deepest, depth)

    return count, deepest


_BRACES = {"{": 1, "}": -1}
_BRACKETS = {"(": 1, "[": 1, ")": -1, "]": -1, **_BRACES}
