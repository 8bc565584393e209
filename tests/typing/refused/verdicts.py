"""The run entry takes what is approved, and nothing that only may be."""

from __future__ import annotations

from contracts import Approved, Awaiting, Refused, Verdict
from runs.entry import RunEntry


async def act(entry: RunEntry, verdict: Verdict) -> None:
    """A verdict is looked at before it is acted upon."""
    await entry.perform(verdict)  # expect: arg-type


async def act_on_what_was_decided(
    entry: RunEntry, decided: Approved | Refused, asked: Awaiting
) -> None:
    """What was refused, or waits for people, is no verdict to act upon."""
    await entry.perform(decided)  # expect: arg-type
    await entry.perform(asked)  # expect: arg-type
