"""What a check finds: a broken promise, and of whom."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Promise = Literal[
    "lost",
    "doubled",
    "gaps",
    "stuck",
    "stale",
    "unexplained",
    "ungated",
    "wrong",
    "ledger",
    "left over",
]
"""
lost: acked and not there · doubled: done twice · gaps: a history that does not hold
· stuck: neither ended nor waiting in time · stale: written by a worker after another
had claimed the run · unexplained: needs attention without a call in flight at a fault
· ungated: a call without its own approved decision · wrong: another answer or end than
there must be · ledger: a chain that does not verify · left over: messages that nobody
handled, or that were given up.
"""

PROMISES: tuple[Promise, ...] = get_args(Promise)
"""All of them, in the order they are told."""


class Violation(NamedTuple):
    """A promise that was broken."""

    promise: Promise
    subject: str
    sentence: str
