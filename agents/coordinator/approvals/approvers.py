"""Who may vote on what: by subject, on the terms of each question; pure."""

from __future__ import annotations

from contracts import ROLES, Approval, PermanentError, Principal, holds_role


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
