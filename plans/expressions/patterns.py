"""What it costs to compile a regular expression (RE2), told from its text.

Text is cheap, a counted repetition copies what it repeats, and a class of Unicode
or a case-insensitive one is a large table.
"""

from __future__ import annotations

import re
from math import prod

_COMPILER = 2_000
_CHARACTER = 300
_TABLE = 60
_COPIES = re.compile(r"(\)?)\{(\d{0,4})(?:,(\d{0,4}))?\}")
_TABLES = re.compile(r"\\[pP]|\(\?[a-zA-Z]*i")


def cost_of_pattern(pattern: str) -> int:
    """Units (see limits.COST) that compiling the pattern once may take."""
    copies = [_copies(found) for found in _COPIES.finditer(pattern)]
    flat = len(pattern) + sum(4 * times for of_group, times in copies if not of_group)
    nested = prod(times for of_group, times in copies if of_group)
    table = _TABLE if _TABLES.search(pattern) else 1
    return _COMPILER + _CHARACTER * flat * nested * table


def _copies(found: re.Match[str]) -> tuple[bool, int]:
    times = max(int(found[2] or 0), int(found[3] or 0), 1)
    return bool(found[1]), times
