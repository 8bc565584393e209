"""The sweep: what time or a crash left lying is taken up again."""

from __future__ import annotations

import structlog

from agents.coordinator.approvals import ballots
from agents.coordinator.approvals.voting import Voting
from agents.coordinator.docket import Docket
from agents.coordinator.releasing import NAME
from agents.coordinator.settings import GateSettings
from contracts import (
    ENDED,
    Approval,
    Approved,
    Clock,
    DecisionRecord,
    Timestamp,
    derived_id,
    later,
    stamp,
)
from store import Store

_AT_ONCE = 1_000
_TURN = "conversation.turn"


class Sweep:
    """Ends approvals whose time is over, releases verdicts nobody performed.

    Guarantees: safe beside other coordinators; what one of them did is not undone.
    """

    def __init__(
        self,
        *,
        store: Store,
        docket: Docket,
        voting: Voting,
        clock: Clock,
        settings: GateSettings,
    ) -> None:
        self._decisions = store.decisions
        self._approvals = store.approvals
        self._effects = store.effects
        self._runs = store.runs
        self._conversations = store.conversations
        self._docket = docket
        self._voting = voting
        self._clock = clock
        self._settings = settings
        self._log = structlog.get_logger(NAME).bind()

    async def sweep(self) -> None:
        """Do all that is due now. Raises TemporaryError; the next sweep goes on."""
        now = stamp(self._clock.now())
        for approval in await self._approvals.due(now, limit=_AT_ONCE):
            await self._expire(approval)

        for record in await self._decisions.untold(recorded_before=now, limit=_AT_ONCE):
            self._found(record, "expiry_untold")
            await self._docket.expire(record)

        if await self._docket.is_calm():
            await self._take_up_all(later(now, -self._settings.release_grace_s))

    async def take_over(self) -> None:
        """Release at once what is left of an earlier process: it will do no more.

        Raises TemporaryError.
        """
        await self._take_up_all(stamp(self._clock.now()))

    async def _take_up_all(self, released_before: Timestamp) -> None:
        for record in await self._decisions.unperformed(
            recorded_before=released_before, limit=_AT_ONCE
        ):
            await self._take_up(record, released_before)

    async def _expire(self, approval: Approval) -> None:
        after = ballots.expired(approval, stamp(self._clock.now()))
        if not await self._voting.change(approval, after):
            return

        record = await self._decisions.get(approval.tenant, approval.decision_id)
        if record is not None:
            self._found(record, "approval_expired")
            await self._docket.expire(record)

    async def _take_up(self, record: DecisionRecord, before: Timestamp) -> None:
        """Release a verdict again that nobody used, or end it when it is too late."""
        verdict = await self._docket.in_force(record)
        if not isinstance(verdict, Approved) or verdict.issued_at >= before:
            return

        now = stamp(self._clock.now())
        if now <= verdict.expires_at or await self._has_begun(record):
            if await self._docket.release_again(record, verdict):
                self._found(record, "unperformed")
        elif self._is_over(verdict, now) and not await self._is_going_on(record, now):
            self._found(record, "verdict_expired")
            await self._docket.expire(record)

    def _is_over(self, verdict: Approved, now: Timestamp) -> bool:
        """Whether nobody uses it any more, whatever their clock says."""
        return now > later(verdict.expires_at, self._settings.clock_skew_s)

    async def _has_begun(self, record: DecisionRecord) -> bool:
        """Whether its effect, run or vote began in time: then it is ended, if late."""
        if await self._effects.get(record.tenant, record.id, "0") is not None:
            return True

        if await self._voting.is_counted(record):
            return True

        # a worker may have died, or heard nothing, between the run and this record
        run_id = derived_id("run", record.id, "0")
        return await self._runs.get(record.tenant, run_id) is not None

    async def _is_going_on(self, record: DecisionRecord, now: Timestamp) -> bool:
        """Whether an open run proposed it, or its turn is held: they end it."""
        decision = record.decision
        if decision.action == _TURN:
            id_ = decision.conversation_id or ""
            row = await self._conversations.get(record.tenant, id_)
            return bool(row and row.lease and row.lease.until > now)

        if decision.proposer.kind != "run":
            return False

        run = await self._runs.get(record.tenant, decision.run_id or "")
        return run is not None and run.state.status not in ENDED

    def _found(self, record: DecisionRecord, what: str) -> None:
        self._log.warning("sweep.found", what=what, decision_id=record.id)
