"""Verdicts: made and sealed here and nowhere else, from what was ruled."""

from __future__ import annotations

from agents.coordinator.ruling import Ruling
from agents.coordinator.settings import GateSettings
from contracts import (
    ACTIONS,
    Approval,
    Approved,
    Audience,
    Awaiting,
    CastVote,
    JsonObject,
    Refused,
    Seals,
    Timestamp,
    Verdict,
    derived_id,
    later,
)

_UNSEALED = {"key_id": "none", "seal": ""}
"""A dry run's verdict fits no key, so that nobody can use it."""


class Verdicts:
    """Turns rulings into verdicts; holds the seal."""

    def __init__(self, seals: Seals, settings: GateSettings) -> None:
        self._seals = seals
        self._settings = settings

    def first(self, ruling: Ruling) -> Verdict:
        """The verdict on a decision that was just proposed."""
        match ruling.judgement.result:
            case "approved":
                end = self._in_time(ruling)
                return self.approved(ruling, "0", min(end, ruling.decision.not_after))
            case "awaiting":
                return awaiting(ruling)
            case "refused":
                return refused(ruling, "0")

    def after_votes(self, ruling: Ruling, revision: int) -> Approved | Refused:
        """The verdict that a vote led to; ``not_after`` no longer counts."""
        if ruling.judgement.result == "approved":
            return self.approved(ruling, str(revision), self._in_time(ruling))

        return refused(ruling, str(revision))

    def refused_by(self, vote: CastVote, approval: Approval) -> Refused:
        """The verdict of a person who said no."""
        nth = str(approval.revision + 1)
        told = f"A person refused this: {vote.comment}" if vote.comment else ""
        return Refused(
            id=derived_id("vrd", approval.decision_id, nth),
            decision_id=approval.decision_id,
            code="refused",
            message=told or "A person refused this.",
            rules=approval.rules,
            details={"by": vote.subject, "approval_id": approval.id},
            policy_digest=approval.policy_digest,
            issued_at=vote.at,
        )

    def approved(self, ruling: Ruling, nth: str, expires_at: Timestamp) -> Approved:
        """A sealed approval; that of a dry run has no seal."""
        fields = self._fields(ruling, nth, expires_at)
        if ruling.decision.dry_run:
            return Approved(**{**fields, **_UNSEALED})

        return self._seals.sealed(fields)

    def _in_time(self, ruling: Ruling) -> Timestamp:
        return later(ruling.at, self._settings.verdict_ttl_s)

    def _fields(self, ruling: Ruling, nth: str, expires_at: Timestamp) -> JsonObject:
        decision, judgement = ruling.decision, ruling.judgement
        turn = decision.action == "conversation.turn"
        return {
            "id": derived_id("vrd", decision.id, nth),
            "decision_id": decision.id,
            "decision_digest": ruling.decision_digest,
            "action_digest": ruling.action_digest,
            "tenant": decision.principal.tenant,
            "subject": decision.principal.subject,
            "audience": audience_of(decision.action),
            "pins": ruling.grounds.pins,
            "limits": self._settings.turn_limits if turn else {},
            "policy_digest": ruling.policy_digest,
            "rules": judgement.rules,
            "would_refuse": judgement.would_refuse,
            "would_ask": judgement.would_ask,
            "issued_at": ruling.at,
            "expires_at": expires_at,
        }


def audience_of(action: str) -> Audience:
    """Which agent carries an action out."""
    carrier = ACTIONS[action].carrier
    return "workflow" if carrier == "entry" else carrier


def awaiting(ruling: Ruling) -> Awaiting:
    """The verdict that asks people, and names the approval it opens."""
    decision, questions = ruling.decision, ruling.judgement.questions
    return Awaiting(
        id=derived_id("vrd", decision.id, "0"),
        decision_id=decision.id,
        approval_id=derived_id("apr", decision.id),
        rules=ruling.judgement.rules,
        approvers=tuple(sorted({a for q in questions for a in q.terms.approvers})),
        quorum=max(question.terms.quorum for question in questions),
        policy_digest=ruling.policy_digest,
        issued_at=ruling.at,
        expires_at=asked_until(ruling),
    )


def asked_until(ruling: Ruling) -> Timestamp:
    """When the first of the questions ends."""
    seconds = min(q.terms.expires_s for q in ruling.judgement.questions)
    return later(ruling.at, seconds)


def refused(ruling: Ruling, nth: str) -> Refused:
    """The verdict that says no, by rule or because it is not valid."""
    decision, judgement, fault = ruling.decision, ruling.judgement, ruling.fault
    return Refused(
        id=derived_id("vrd", decision.id, nth),
        decision_id=decision.id,
        code=fault.code if fault else "refused",
        message=fault.message if fault else judgement.message,
        rules=judgement.rules,
        details=fault.details if fault else {},
        policy_digest=ruling.policy_digest,
        issued_at=ruling.at,
    )
