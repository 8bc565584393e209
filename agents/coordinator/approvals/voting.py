"""Carries votes out: each is one compare-and-set on the approval's document.

A vote that decides seals the verdict in the same write; nothing is released that is
not in the store.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import structlog

from agents.coordinator.approvals import ballots
from agents.coordinator.gate import Gate
from agents.coordinator.releasing import NAME, Asker, Releases
from agents.coordinator.ruling import Ruling, with_grants
from agents.coordinator.verdicts import Verdicts
from contracts import (
    Approval,
    CastVote,
    Clock,
    Conflict,
    DecisionRecord,
    Fault,
    NotFound,
    Outcome,
    PermanentError,
    SluicegateError,
    TemporaryError,
    Timestamp,
    known_as,
    read,
    stamp,
)
from contracts.action_args import Vote
from store import Store

_TRIES = 20
"""So many lost races in a row mean that something is wrong."""


_VOTES = frozenset({"approval.grant", "approval.refuse"})


class _Step(NamedTuple):
    """The approval after a vote, and the error the voter gets all the same."""

    approval: Approval
    error: SluicegateError | None = None


class Voting:
    """Carries ``approval.grant`` and ``approval.refuse`` out.

    Guarantees: of concurrent votes each counts or is told why not; the same vote
    carried out again changes nothing and answers the same; a vote on something else
    than the voter saw never counts.
    """

    def __init__(
        self,
        *,
        store: Store,
        gate: Gate,
        verdicts: Verdicts,
        releases: Releases,
        clock: Clock,
    ) -> None:
        self._decisions = store.decisions
        self._approvals = store.approvals
        self._gate = gate
        self._verdicts = verdicts
        self._releases = releases
        self._clock = clock
        self._log = structlog.get_logger(NAME).bind()

    async def carry(self, record: DecisionRecord) -> Outcome:
        """The outcome of an approved vote, once its effect is in the store.

        Raises TemporaryError if the store or the race does not let it through.
        """
        try:
            approval = await self._counted(record)
        except PermanentError as error:
            return _failed(record, error)

        result = {
            "approval_id": approval.id,
            "decision_id": approval.decision_id,
            "state": "awaiting" if approval.state == "waiting" else approval.state,
        }
        return Outcome(decision_id=record.id, state="succeeded", result=result)

    async def is_counted(self, record: DecisionRecord) -> bool:
        """Whether this decision is a vote that stands in its approval already."""
        if record.decision.action not in _VOTES:
            return False

        return _is_counted(await self._approval(record), record)

    async def _counted(self, record: DecisionRecord) -> Approval:
        for _ in range(_TRIES):
            approval = await self._approval(record)
            if _is_counted(approval, record):
                await self._release(approval)
                return approval

            step = await self._step(approval, record)
            if await self.change(approval, step.approval):
                await self._release(step.approval)
                if step.error is not None:
                    raise step.error

                return step.approval

        raise TemporaryError("Too many votes at once.", code="store_busy")

    async def _approval(self, record: DecisionRecord) -> Approval:
        approval_id = read(Vote, record.decision.args).approval_id
        approval = await self._approvals.get(record.tenant, approval_id)
        if approval is None:
            raise NotFound(f"There is no approval {approval_id!r}.")

        return approval

    async def _step(self, approval: Approval, record: DecisionRecord) -> _Step:
        """What this vote makes of the approval. Raises Conflict if it may not count."""
        at = stamp(self._clock.now())
        if approval.state != "waiting":
            raise ballots.not_waiting(approval)

        if approval.expires_at <= at:
            raise ballots.not_waiting(ballots.expired(approval, at))

        if not ballots.is_as_seen(approval, record.facts["approval"]):
            raise _changed(approval)

        vote = _cast(record, at)
        if vote.vote == "refuse":
            verdict = self._verdicts.refused_by(vote, approval)
            after = ballots.with_vote(approval, vote)
            return _Step(ballots.ended(after, verdict, at))

        return await self._granted(approval, vote)

    async def _asked(self, approval: Approval) -> DecisionRecord:
        asked = await self._decisions.get(approval.tenant, approval.decision_id)
        if asked is None:
            raise NotFound("The decision that was asked about is not recorded.")

        return asked

    async def _granted(self, approval: Approval, vote: CastVote) -> _Step:
        asked = await self._asked(approval)
        ruling = await self._gate.hear_again(asked.decision)
        _refuse_for_now(ruling)
        if ruling.fault or ballots.has_changed(approval, ruling):
            after = self._asked_anew(approval, ruling)
            return _Step(after, _changed(after))

        after = ballots.with_vote(approval, vote)
        counted = with_grants(ruling, ballots.grants(after))
        if counted.judgement.result == "awaiting":
            return _Step(after)

        verdict = self._verdicts.after_votes(counted, approval.revision + 1)
        return _Step(ballots.ended(after, verdict, ruling.at))

    def _asked_anew(self, approval: Approval, ruling: Ruling) -> Approval:
        """The votes are void: it is asked again, unless nobody need be asked."""
        if ruling.judgement.result == "awaiting":
            return ballots.asked_anew(ruling)

        verdict = self._verdicts.after_votes(ruling, approval.revision + 1)
        return ballots.ended(approval, verdict, ruling.at)

    async def change(self, before: Approval, after: Approval) -> bool:
        """Write the next revision of an approval, if nobody did meanwhile."""
        revision = before.revision + 1
        after = after.model_copy(update={"revision": revision})
        if not await self._approvals.change(after, from_revision=before.revision):
            return False

        self._log.info(
            "approval.changed",
            approval_id=after.id,
            decision_id=after.decision_id,
            state=after.state,
            revision=revision,
            votes=len(after.votes),
        )
        return True

    async def _release(self, approval: Approval) -> None:
        if approval.verdict is not None:
            asked = await self._asked(approval)
            await self._releases.verdict(asked, approval.verdict, Asker.then(asked))


def _is_counted(approval: Approval, record: DecisionRecord) -> bool:
    """Whether this very vote is in the document already."""
    vote = ballots.vote_of(approval, record.decision.principal.subject)
    return vote is not None and vote.vote == _kind(record)


def _cast(record: DecisionRecord, at: Timestamp) -> CastVote:
    principal = record.decision.principal
    return CastVote(
        subject=principal.subject,
        known_as=known_as(principal),
        vote=_kind(record),
        at=at,
        comment=read(Vote, record.decision.args).comment,
    )


def _refuse_for_now(ruling: Ruling) -> None:
    """Raise what hinders a grant today and may not tomorrow; the question stays."""
    fault = ruling.fault
    if fault and (fault.status in (429, 503) or fault.code == "frozen"):
        raise PermanentError(fault.message, code=fault.code, details=fault.details)


def _changed(approval: Approval) -> Conflict:
    return Conflict(
        code="approval_changed",
        details={"approval_id": approval.id, "state": approval.state},
    )


def _failed(record: DecisionRecord, error: SluicegateError) -> Outcome:
    return Outcome(decision_id=record.id, state="failed", error=Fault.of(error))


def _kind(record: DecisionRecord) -> Literal["grant", "refuse"]:
    return "grant" if record.decision.action == "approval.grant" else "refuse"
