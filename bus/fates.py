"""What becomes of a message whose handler raised: pure, the same for every bus."""

from __future__ import annotations

from typing import NamedTuple

from contracts import TemporaryError

MOST_TRIES = 5
"""A message is handled at most so often before it is a dead letter."""

_FIRST_DELAY_S = 0.1


class Retried(NamedTuple):
    """Try again after so many seconds."""

    delay_s: float


class Dead(NamedTuple):
    """Nobody can handle it, for this reason."""

    reason: str


def fate(error: Exception, tries: int) -> Retried | Dead:
    """What follows this error of the try with this number, counted from 1."""
    if not isinstance(error, TemporaryError):
        return Dead(f"{type(error).__name__}: {error}")

    if tries >= MOST_TRIES:
        return Dead(f"tried {tries} times: {error}")

    return Retried(max(error.delay or 0.0, _FIRST_DELAY_S * 4 ** (tries - 1)))
