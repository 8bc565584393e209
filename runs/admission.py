"""What a verdict must be to be let in: sealed, of that decision, in time."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from contracts import (
    ACTIONS,
    Approval,
    Approved,
    Awaiting,
    Clock,
    DecisionRecord,
    EffectRow,
    RunRow,
    Seals,
    TemporaryError,
    Timestamp,
    Verdict,
    VerdictRefused,
    derived_id,
    digest,
    later,
    seconds_between,
    stamp,
)
from runs.counters import REFUSED
from runs.standing import Standing
from store import Store

INDEX = "0"
"""Which of a decision's effects is the one that the entry makes of it."""

_SKEW_S = 30.0
"""How far the clocks of coordinator and entry may differ."""

ABANDONED_S = 15.0
"""A claim of another process that is so old was cut off by a crash."""


class Admission:
    """Checks verdicts, and that what they allow is allowed still.

    Every refusal is counted and alarmed.
    """

    def __init__(
        self,
        store: Store,
        seals: Seals,
        clock: Clock,
        *,
        abandoned_s: float = ABANDONED_S,
        revoked_before: Callable[[], Timestamp | None] = lambda: None,
    ) -> None:
        """A claim of another process that is ``abandoned_s`` old was cut off.

        No verdict that was issued before ``revoked_before()`` is honoured.
        """
        self._abandoned_s = abandoned_s
        self._decisions = store.decisions
        self._approvals = store.approvals
        self._effects = store.effects
        self._runs = store.runs
        self._standing = Standing(store.keys, store.freezes)
        self._seals = seals
        self._clock = clock
        self._revoked_before = revoked_before
        self._log = structlog.get_logger("entry").bind()

    async def check(self, approved: Approved) -> DecisionRecord:
        """The record of the verdict's decision, its plan the one that was approved.

        Raises VerdictRefused.
        """
        self._check_seal(approved)
        record = await self._decisions.get(approved.tenant, approved.decision_id)
        if record is None:
            raise self._refusal(approved, "verdict_invalid", "no record")

        if not await self._began_in_time(approved):
            self._check_times(approved)

        self._check_against(approved, record)
        return await self._released(approved, record)

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
        calls = record.plan.get("tools", ()) if decision.action == "tool.call" else ()
        named = {
            ("workflow", str(record.plan.get("workflow"))),
            *(("tool", str(tool)) for tool in calls),
            *((kind, str(decision.args.get(kind))) for kind in ("workflow", "tool")),
        }
        scopes = tuple(named)
        await self._standing.check(
            decision.principal,
            permission=row.permission,
            frozen=None if row.freeze_exempt else scopes,
            at=stamp(self._clock.now()),
        )

    def refuse_under_way(self, claim: EffectRow) -> None:
        """Raise TemporaryError while another process may still be at it."""
        now = stamp(self._clock.now())
        abandoned_at = later(claim.claimed_at, self._abandoned_s)
        if now < abandoned_at:
            raise TemporaryError(
                "Another process carries this decision out.",
                delay=seconds_between(now, abandoned_at),
            )

    def _check_seal(self, approved: Approved) -> None:
        try:
            self._seals.check(approved)
        except VerdictRefused as error:
            raise self._refusal(approved, "verdict_invalid", error.message) from error

    async def _began_in_time(self, approved: Approved) -> bool:
        """Whether it is over now, and was used before: what began is ended."""
        if approved.expires_at >= stamp(self._clock.now()):
            return False

        tenant, decision_id = approved.tenant, approved.decision_id
        claim = await self._effects.get(tenant, decision_id, INDEX)
        if claim is not None:
            return claim.verdict_id == approved.id

        run_id = derived_id("run", decision_id, INDEX)
        return await self._runs.get(tenant, run_id) is not None

    def _check_times(self, approved: Approved) -> None:
        now = stamp(self._clock.now())
        if approved.expires_at < now:
            raise self._refusal(approved, "verdict_expired", approved.expires_at)

        if approved.issued_at < (self._revoked_before() or ""):
            raise self._refusal(approved, "verdict_expired", "policy revoked")

        if approved.issued_at > later(now, _SKEW_S):
            raise self._refusal(approved, "verdict_not_yet_valid", approved.issued_at)

    def _check_against(self, approved: Approved, record: DecisionRecord) -> None:
        decision = record.decision
        ours = ACTIONS[decision.action].carrier == "entry"
        if approved.audience != "workflow" or not ours:
            raise self._refusal(approved, "verdict_wrong_audience", approved.audience)

        principal = decision.principal
        told = (approved.tenant, approved.subject)
        if told != (principal.tenant, principal.subject) or decision.dry_run:
            raise self._refusal(approved, "verdict_invalid", "another decision")

        digests = (approved.decision_digest, approved.action_digest)
        if digests != _digests_of(record, approved):
            raise self._refusal(approved, "verdict_invalid", "another digest")

    async def _released(
        self, approved: Approved, record: DecisionRecord
    ) -> DecisionRecord:
        """The record, with the plan of its approval if people were asked.

        Only the verdict on record counts, or that of the approval it opened.
        """
        released: Verdict | None = record.verdict
        if isinstance(released, Awaiting):
            approval = await self._approvals.get(record.tenant, released.approval_id)
            released = approval.verdict if approval is not None else None
            record = _as_asked(record, approval)

        if released != approved:
            raise self._refusal(approved, "verdict_invalid", "another verdict")

        return record

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


def _as_asked(record: DecisionRecord, approval: Approval | None) -> DecisionRecord:
    """The plan that people saw last may be newer than the recorded one."""
    plan = record.plan if approval is None else approval.plan
    return record.model_copy(update={"plan": plan})


def _digests_of(record: DecisionRecord, approved: Approved) -> tuple[str, str]:
    """The digests of what is on record, computed again."""
    plain = record.decision.model_dump(mode="json", exclude={"not_after"})
    action = {
        "action": plain["action"],
        "args": plain["args"],
        "pins": approved.pins,
    }
    return digest(plain), digest(action)
