"""Who may vote on what: by subject, on the terms of each question; pure."""

from __future__ import annotations

from contracts import Approval, PermanentError, Principal, known_as


def check_approver(approval: Approval, principal: Principal) -> None:
    """Raise ``not_an_approver`` or ``self_approval`` unless some question asks them.

    A refusal counts from whoever may grant, and from nobody else.
    """
    names = set(known_as(principal))
    asking = [q.terms for q in approval.questions if names & {*q.terms.approvers}]
    if not asking:
        raise PermanentError(
            code="not_an_approver", details={"asked": approval.approvers}
        )

    if principal.subject == approval.subject and all(t.not_self for t in asking):
        raise PermanentError(code="self_approval", details={"approval_id": approval.id})
