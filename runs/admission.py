"""What a verdict must be to be let in: sealed, of that decision, in time."""

from __future__ import annotations

import structlog

from contracts import (
    ACTIONS,
    Approved,
    Clock,
    DecisionRecord,
    RunRow,
    Seals,
    VerdictRefused,
    digest,
    later,
    stamp,
)
from runs.counters import REFUSED
from runs.standing import Standing
from store import Store

_SKEW_S = 30.0
"""How far the clocks of coordinator and entry may differ."""


class Admission:
    """Checks verdicts, and that what they allow is allowed still.

    Every refusal is counted and alarmed.
    """

    def __init__(self, store: Store, seals: Seals, clock: Clock) -> None:
        self._decisions = store.decisions
        self._standing = Standing(store.keys, store.freezes)
        self._seals = seals
        self._clock = clock
        self._log = structlog.get_logger("entry").bind()

    async def check(self, approved: Approved) -> DecisionRecord:
        """The record of the verdict's decision. Raises VerdictRefused."""
        try:
            self._seals.check(approved)
        except VerdictRefused as error:
            raise self._refusal(approved, "verdict_invalid", error.message) from error

        record = await self._decisions.get(approved.tenant, approved.decision_id)
        if record is None:
            raise self._refusal(approved, "verdict_invalid", "no record")

        self._check_times(approved)
        self._check_against(approved, record)
        return record

    async def admit(self, run: RunRow, verdict: Approved) -> DecisionRecord:
        """The record of a call that this run proposed. Raises VerdictRefused."""
        record = await self.check(verdict)
        if record.decision.run_id != run.id:
            raise self._refusal(verdict, "verdict_wrong_audience", "another run's")

        return record

    async def still_allowed(self, run: RunRow, tool: str) -> None:
        """Raise ``frozen`` or ``forbidden`` if the run may not call the tool now."""
        scopes = [("workflow", run.workflow)]
        if tool:
            scopes.append(("tool", tool))

        await self._standing.check(
            run.principal,
            permission="tool.call" if run.call_was_judged else "workflow.run",
            frozen=tuple(scopes),
            at=stamp(self._clock.now()),
        )

    async def standing(self, record: DecisionRecord) -> None:
        """Raise ``frozen`` or ``forbidden`` if the decision may not be done now."""
        decision = record.decision
        row = ACTIONS[decision.action]
        scopes = tuple(
            (scope, str(decision.args[scope]))
            for scope in ("workflow", "tool")
            if isinstance(decision.args.get(scope), str)
        )
        await self._standing.check(
            decision.principal,
            permission=row.permission,
            frozen=None if row.freeze_exempt else scopes,
            at=stamp(self._clock.now()),
        )

    def _check_times(self, approved: Approved) -> None:
        now = stamp(self._clock.now())
        if approved.expires_at < now:
            raise self._refusal(approved, "verdict_expired", approved.expires_at)

        if approved.issued_at > later(now, _SKEW_S):
            raise self._refusal(approved, "verdict_not_yet_valid", approved.issued_at)

    def _check_against(self, approved: Approved, record: DecisionRecord) -> None:
        decision = record.decision
        carrier = ACTIONS[decision.action].carrier
        if approved.audience != ("workflow" if carrier == "entry" else carrier):
            raise self._refusal(approved, "verdict_wrong_audience", approved.audience)

        principal = decision.principal
        told = (approved.tenant, approved.subject, approved.decision_digest)
        meant = (principal.tenant, principal.subject, _digest_of(record))
        if told != meant or decision.dry_run:
            raise self._refusal(approved, "verdict_invalid", "another decision")

    def _refusal(self, approved: Approved, code: str, why: str) -> VerdictRefused:
        REFUSED.labels(code).inc()
        self._log.error(
            "verdict.refused_at_entry",
            alarm=code,
            verdict_id=approved.id,
            decision_id=approved.decision_id,
            why=why,
        )
        return VerdictRefused(code=code, details={"verdict_id": approved.id})


def _digest_of(record: DecisionRecord) -> str:
    return digest(record.decision.model_dump(mode="json", exclude={"not_after"}))
