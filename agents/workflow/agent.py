"""The WorkflowAgent: acts on approved decisions, through the run entry only."""

from __future__ import annotations

from agents.activation import Chore, Ear, Hearing
from bus import Bus
from contracts import (
    Approved,
    Capabilities,
    Clock,
    Envelope,
    Outcome,
    PermanentError,
    VerdictRefused,
    caused,
    stamp,
)
from contracts.envelope import RunReady
from runs import Engine
from runs.entry import RunEntry
from store import Workers

_NAME = "workflow-agent"


class WorkflowAgent:
    """Performs verdicts addressed to it, takes ready runs, says what it can do."""

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

        Raises PermanentError for a verdict that is not honoured.
        """
        if approved.audience != "workflow":
            return

        try:
            outcome = await self._entry.perform(approved)
        except VerdictRefused as error:
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


class Heartbeat:
    """Says every few seconds that a worker lives and what it can do."""

    def __init__(
        self,
        workers: Workers,
        engine: Engine,
        clock: Clock,
        *,
        slots: int,
        python_tools: tuple[str, ...] = (),
    ) -> None:
        self._workers = workers
        self._engine = engine
        self._clock = clock
        self._slots = slots
        self._python_tools = python_tools
        self._started_at = stamp(clock.now())

    async def beat(self) -> None:
        """Raises StoreUnavailable."""
        await self._workers.heartbeat(
            Capabilities(
                worker=self._engine.owner,
                python_tools=self._python_tools,
                running=self._engine.running,
                slots=self._slots,
                started_at=self._started_at,
                seen_at=stamp(self._clock.now()),
            )
        )

    def chore(self, every_s: float) -> Chore:
        """The heartbeat as something to do again and again."""
        return Chore("heartbeat", every_s, self.beat)
