"""What a vote, a change of what is asked, or the end of time makes of an approval.

All of it is pure; whoever writes the document numbers the revision.
"""

from __future__ import annotations

from agents.coordinator.recording import approval_of
from agents.coordinator.ruling import Ruling
from agents.coordinator.verdicts import awaiting
from contracts import (
    Approval,
    Approved,
    CastVote,
    Conflict,
    JsonObject,
    Refused,
    Timestamp,
)


def grants(approval: Approval) -> tuple[JsonObject, ...]:
    """Those who said yes, as facts."""
    return tuple(
        {"subject": vote.subject, "known_as": list(vote.known_as), "at": vote.at}
        for vote in approval.votes
        if vote.vote == "grant"
    )


def vote_of(approval: Approval, subject: str) -> CastVote | None:
    """The one vote of a subject, if it voted."""
    return next((vote for vote in approval.votes if vote.subject == subject), None)


def with_vote(approval: Approval, vote: CastVote) -> Approval:
    """The approval with a vote; a subject's new vote replaces its old one."""
    others = [v for v in approval.votes if v.subject != vote.subject]
    return _with(approval, votes=(*others, vote))


def ended(approval: Approval, verdict: Approved | Refused, at: Timestamp) -> Approval:
    """The approval with its final verdict."""
    return _with(approval, state=verdict.result, verdict=verdict, decided_at=at)


def expired(approval: Approval, at: Timestamp) -> Approval:
    """The approval after its time; nobody may vote any more."""
    return _with(approval, state="expired", decided_at=at)


def asked_anew(ruling: Ruling) -> Approval:
    """The question as it stands now, without votes, with fresh time to answer."""
    return approval_of(ruling, awaiting(ruling))


def has_changed(approval: Approval, ruling: Ruling) -> bool:
    """Whether pins or policy are no longer those that were asked about."""
    asked = (approval.pins, approval.policy_digest)
    return asked != (ruling.grounds.pins, ruling.policy_digest)


def is_as_seen(approval: Approval, seen: JsonObject) -> bool:
    """Whether a voter saw what is asked now; ``seen`` is ``what_is_asked`` then."""
    return what_is_asked(approval) == seen


def what_is_asked(approval: Approval) -> JsonObject:
    """What a vote on this approval is about, as facts and as what the voter saw."""
    return {
        "id": approval.id,
        "action": approval.action,
        "action_digest": approval.action_digest,
        "policy_digest": approval.policy_digest,
        "subject": approval.subject,
        "asked_at": approval.asked_at,
    }


def not_waiting(approval: Approval) -> Conflict:
    """The error for a vote after the end; its details name the winner."""
    last = approval.votes[-1] if approval.votes else None
    winner = {
        "state": approval.state,
        "decided_at": approval.decided_at,
        "subject": last.subject if last else None,
        "vote": last.vote if last else None,
    }
    return Conflict(
        f"The approval no longer waits: it is {approval.state}.",
        code="not_waiting",
        details={"winner": winner},
    )


def _with(approval: Approval, **update: object) -> Approval:
    return approval.model_copy(update=update)
