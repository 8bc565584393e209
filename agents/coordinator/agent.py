"""The CoordinatorAgent: judges every decision, records it, then releases."""

from __future__ import annotations

import structlog

from agents.activation import Chore, Ear, Hearing
from agents.coordinator.approvals.voting import Voting
from agents.coordinator.counters import count
from agents.coordinator.docket import Docket
from agents.coordinator.gate import Gate
from agents.coordinator.recording import approval_of, record_of
from agents.coordinator.releasing import NAME, Asker, Releases
from agents.coordinator.ruling import Ruling
from agents.coordinator.sweep import Sweep
from agents.coordinator.verdicts import Verdicts
from bus import Bus
from contracts import (
    Awaiting,
    Clock,
    Decision,
    DecisionRecord,
    Envelope,
    PermanentError,
    Refused,
    caused,
    derived_id,
    stamp,
)
from contracts.failpoints import reach
from store import Store


class CoordinatorAgent:
    """Answers decisions, carries votes out, ends what waited too long.

    Guarantees: no verdict leaves that is not recorded; the first record of a
    decision wins; nothing is remembered but in the store.
    """

    def __init__(
        self, *, gate: Gate, verdicts: Verdicts, store: Store, bus: Bus, clock: Clock
    ) -> None:
        self._gate = gate
        self._verdicts = verdicts
        self._decisions = store.decisions
        self._bus = bus
        self._clock = clock
        releases = Releases(store, bus, clock)
        voting = Voting(
            store=store, gate=gate, verdicts=verdicts, releases=releases, clock=clock
        )
        self._docket = Docket(store, releases, voting, clock)
        self._sweep = Sweep(
            store=store,
            docket=self._docket,
            voting=voting,
            clock=clock,
            settings=gate.settings,
        )
        self._log = structlog.get_logger(NAME).bind()

    def ears(self) -> tuple[Ear, ...]:
        """What it listens to."""
        return (Hearing("decision", Decision, "coordinator", self.on_decision, 64),)

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("sweep", self._gate.settings.sweep_s, self.sweep),)

    async def on_decision(self, decision: Decision, envelope: Envelope) -> None:
        """Judge, record, release; the verdict of the record, if there was one.

        Raises TemporaryError if the store or the bus does not answer: nothing is
        released then that is not recorded.
        """
        if envelope.tenant != decision.principal.tenant:
            raise PermanentError(code="tenant_mismatch")

        reach("B5")
        ruling = await self._gate.hear(decision, not_after=envelope.not_after)
        record = await self._recorded(ruling, envelope)
        reach("B7")
        if _is_another(record.decision, decision):
            await self._say_conflict(record, decision, envelope)
        else:
            await self._docket.proceed(record, Asker.of(envelope))

    async def sweep(self) -> None:
        """End what waited too long, release again what nobody performed."""
        await self._sweep.sweep()

    async def take_over(self) -> None:
        """Go on where an earlier process was cut off; to be called once, at the start.

        Raises TemporaryError.
        """
        await self._sweep.take_over()

    async def _recorded(self, ruling: Ruling, envelope: Envelope) -> DecisionRecord:
        verdict = self._verdicts.first(ruling)
        record = record_of(ruling, verdict, envelope)
        approval = None
        if isinstance(verdict, Awaiting) and not ruling.decision.dry_run:
            approval = approval_of(ruling, verdict)

        reach("B6")
        stored = await self._decisions.record(record, approval)
        if stored.recorded_at == record.recorded_at:
            self._say(stored)

        return stored

    def _say(self, stored: DecisionRecord) -> None:
        count(stored)
        self._log.info(
            "decision.recorded",
            decision_id=stored.id,
            action=stored.decision.action,
            result=stored.verdict.result,
            rules=stored.rules,
            code=getattr(stored.verdict, "code", None),
            correlation_id=stored.correlation_id,
        )

    async def _say_conflict(
        self, record: DecisionRecord, decision: Decision, envelope: Envelope
    ) -> None:
        self._log.error("alarm", alarm="decision_conflict", decision_id=record.id)
        if envelope.reply_to is None:
            return

        at = stamp(self._clock.now())
        refused = Refused(
            id=derived_id("vrd", decision.id, "conflict", envelope.id),
            decision_id=decision.id,
            code="decision_conflict",
            message="Another decision has this id; what was recorded first counts.",
            details={"recorded_action": record.decision.action},
            issued_at=at,
        )
        reply = caused(refused, cause=envelope, by=NAME, at=at, in_reply_to=envelope.id)
        await self._bus.reply(envelope.reply_to, reply)


def _is_another(recorded: Decision, proposed: Decision) -> bool:
    """Whether an id came back with another action, other arguments or person."""
    return _identity(recorded) != _identity(proposed)


def _identity(decision: Decision) -> tuple[object, ...]:
    who = decision.principal.subject
    return decision.action, decision.args, who, decision.dry_run
