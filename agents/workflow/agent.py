"""The WorkflowAgent: acts on approved decisions, through the run entry only."""

from __future__ import annotations

from agents.activation import Ear, Hearing
from bus import Bus
from contracts import (
    Approved,
    Clock,
    Envelope,
    Outcome,
    PermanentError,
    VerdictRefused,
    caused,
    stamp,
)
from contracts.envelope import RunReady
from contracts.failpoints import reach
from runs import Engine
from runs.entry import RunEntry

_NAME = "workflow-agent"


class WorkflowAgent:
    """Performs verdicts addressed to it, and takes ready runs."""

    def __init__(
        self, *, entry: RunEntry, engine: Engine, bus: Bus, clock: Clock
    ) -> None:
        self._entry = entry
        self._engine = engine
        self._bus = bus
        self._clock = clock

    def ears(self) -> tuple[Ear, ...]:
        """What it listens to."""
        return (
            Hearing("verdict", Approved, "workflow", self.on_approved, slots=64),
            Hearing("run_ready", RunReady, "worker", self.on_run_ready),
        )

    async def on_approved(self, approved: Approved, envelope: Envelope) -> None:
        """Perform it and tell whoever asked what came of it.

        One that came too late is counted and left: it was told again for nothing.
        Raises PermanentError for any other verdict that is not honoured.
        """
        if approved.audience != "workflow":
            return

        reach("B8")
        try:
            outcome = await self._entry.perform(approved)
        except VerdictRefused as error:
            if error.code == "verdict_expired":
                return

            raise PermanentError(error.message, code=error.code) from error

        await self._tell(outcome, envelope)

    async def on_run_ready(self, ready: RunReady, envelope: Envelope) -> None:
        """Take the run if there is a free slot; else another worker or the sweep."""
        await self._engine.ring(envelope.tenant, ready.run_id)

    async def _tell(self, outcome: Outcome, envelope: Envelope) -> None:
        if envelope.reply_to is None:
            return

        reply = caused(
            outcome,
            cause=envelope,
            by=_NAME,
            at=stamp(self._clock.now()),
            in_reply_to=envelope.in_reply_to,
        )
        await self._bus.reply(envelope.reply_to, reply)
