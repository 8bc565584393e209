"""An approval: one exact action that waits for people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.clock import Timestamp
from contracts.decisions import Principal, Proposer
from contracts.ids import Id
from contracts.message import JsonObject, Message
from contracts.permissions import ROLES, holds_role
from contracts.policy import AskTerms
from contracts.verdicts import Approved, Pins, Refused

ApprovalState = Literal["waiting", "approved", "refused", "expired", "void"]
"""Only ``waiting`` takes votes; the others are final."""


class CastVote(Message):
    """One subject's vote; a subject has one."""

    subject: str
    known_as: tuple[str, ...] = ()
    """Under which names a question may have asked the voter: ``role:approver``."""

    vote: Literal["grant", "refuse"]
    at: Timestamp
    comment: str = ""


class Question(Message):
    """An unsatisfied ask rule and the terms on which it is satisfied."""

    rule: str
    terms: AskTerms


class Approval(Message):
    """Everything an approver must see, the votes, and the verdict they led to.

    It changes by compare-and-set on ``revision`` only.
    """

    id: Id
    tenant: str
    decision_id: Id
    action: str
    action_digest: str
    args: JsonObject
    plan: JsonObject
    pins: Pins
    rules: tuple[str, ...]
    questions: tuple[Question, ...]
    proposer: Proposer
    subject: str
    policy_digest: str
    cost_estimate: JsonObject = Field(default_factory=dict)
    run_id: Id | None = None
    node_id: str | None = None
    conversation_id: Id | None = None
    votes: tuple[CastVote, ...] = ()
    state: ApprovalState = "waiting"
    revision: int = 1
    asked_at: Timestamp
    expires_at: Timestamp
    decided_at: Timestamp | None = None
    verdict: Approved | Refused | None = None
    """The final verdict; the run entry and the sweep read it here."""

    @property
    def quorum(self) -> int:
        """How many grants the most demanding question wants."""
        return max((q.terms.quorum for q in self.questions), default=1)

    @property
    def approvers(self) -> tuple[str, ...]:
        """Everybody who is asked by any question."""
        return tuple(sorted({a for q in self.questions for a in q.terms.approvers}))


def known_as(principal: Principal) -> tuple[str, ...]:
    """Every name under which a policy may have asked this principal."""
    roles = [f"role:{r}" for r in sorted(ROLES) if holds_role(principal.permissions, r)]
    return (*roles, f"subject:{principal.subject}", *_credential(principal))


def _credential(principal: Principal) -> tuple[str, ...]:
    match principal.kind:
        case "api_key":
            return (f"key:{principal.id}",)
        case "telegram":
            return (f"telegram:{principal.id.removeprefix('tg_')}",)
        case _:
            return ()
