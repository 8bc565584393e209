"""What a turn may still use of the limits that were sealed into its verdict; pure."""

from __future__ import annotations

from typing import NamedTuple

from agents.conversation.turns import Turn
from contracts import Approved

_MICROS = 1_000_000


class Left(NamedTuple):
    """Of tokens and seconds, more than nothing."""

    tokens: int
    seconds: float


def left_of(turn: Turn, verdict: Approved, held_s: float) -> Left | None:
    """What is left for the next call of the model; None if there may be none.

    ``held_s`` is how long the turn has gone on here: an outage takes none of its time.
    """
    limits, usages = verdict.limits, [one.answer.usage for one in turn.steps]
    left = Left(
        limits["tokens"] - sum(one.tokens for one in usages),
        limits["seconds"] - held_s,
    )
    spent_micros = sum(one.cost for one in usages) * _MICROS
    most_micros = limits.get("cost_micros")  # older verdicts have none
    if most_micros is not None and spent_micros >= most_micros:
        return None

    is_open = len(turn.steps) < limits["model_calls"] and min(left) > 0
    return left if is_open else None
