"""An approved verdict is acted upon once it is known to be one."""

from __future__ import annotations

from contracts import Approved, Outcome, Verdict
from runs.entry import RunEntry


async def act(entry: RunEntry, verdict: Verdict) -> Outcome | None:
    """Act on what is approved, and on nothing else."""
    return await entry.perform(verdict) if isinstance(verdict, Approved) else None
