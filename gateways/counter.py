"""The counter: where a door hands a decision in, and waits for what becomes of it."""

from __future__ import annotations

from typing import NamedTuple

from bus import Bus
from contracts import (
    Approved,
    Awaiting,
    Decision,
    NoReply,
    Outcome,
    Refused,
    TemporaryError,
    said,
)
from store import Decisions

GATE_S = 5.0
"""How long the gate has for a verdict."""

_OUTCOME_S = 10.0


class Counter(NamedTuple):
    """Where a door hands its decisions in."""

    bus: Bus
    decisions: Decisions
    door: str

    async def propose(self, decision: Decision) -> Refused | Awaiting | Outcome:
        """What became of a decision; the same id again is the same decision.

        Raises TemporaryError if nobody answered.
        """
        envelope = said(
            decision,
            by=self.door,
            tenant=decision.principal.tenant,
            at=decision.created_at,
            reply_to=self.bus.address,
            not_after=decision.not_after,
        )
        try:
            heard = await self.bus.ask(
                envelope,
                timeout_s=_OUTCOME_S,
                until=lambda one: not isinstance(one.body, Approved),
            )
            body = heard[-1].body
        except NoReply:
            body = None

        if isinstance(body, Refused | Awaiting | Outcome):
            return body

        return await self._recorded(decision)

    async def _recorded(self, decision: Decision) -> Refused | Awaiting | Outcome:
        """What the record says by now."""
        tenant = decision.principal.tenant
        record = await self.decisions.get(tenant, decision.id)
        if record is not None and record.outcome is not None:
            return record.outcome

        if record is not None and not isinstance(record.verdict, Approved):
            return record.verdict

        raise TemporaryError(code="gate_unavailable")
