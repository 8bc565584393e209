"""What the engine asks before it acts; the run entry answers."""

from __future__ import annotations

from typing import Protocol

from contracts import Approved, DecisionRecord, RunRow


class Authority(Protocol):
    """Says whether an effect of a run may happen now.

    Guarantees: what raises has had no effect; TemporaryError says that it could not
    be found out, and then the effect does not happen either.
    """

    async def admit(self, run: RunRow, verdict: Approved) -> DecisionRecord:
        """The record of a decision this run proposed, its verdict fully checked.

        Seal, audience, tenant, run, digests and expiry. Using it once is the log's
        part. Raises VerdictRefused.
        """

    async def still_allowed(self, run: RunRow, tool: str) -> None:
        """Check freeze and permission again, right before an effect.

        ``tool`` is empty for what calls no tool.
        Raises PermanentError (``frozen``, ``forbidden``).
        """
