"""Proposing a decision for a person in a chat, and hearing what became of it."""

from __future__ import annotations

from contracts import (
    Action,
    Approved,
    Awaiting,
    Decision,
    JsonObject,
    NoReply,
    Outcome,
    Principal,
    Proposer,
    Refused,
    TemporaryError,
    later,
    said,
)
from gateways.telegram.office import Office, channel_of

_GATE_S = 5.0
_OUTCOME_S = 10.0


async def propose(
    office: Office,
    decision_id: str,
    action: Action,
    args: JsonObject,
    by: tuple[Principal, int],
) -> Refused | Awaiting | Outcome:
    """What became of a decision; ``by`` is who asks, and in which chat.

    The same id again is the same decision. Raises TemporaryError if nobody answered.
    """
    principal, chat_id = by
    at = office.at()
    not_after = later(at, _GATE_S)
    decision = Decision(
        id=decision_id,
        action=action,
        args=args,
        proposer=Proposer(kind="user", id=principal.id),
        principal=principal,
        channel=channel_of(chat_id),
        not_after=not_after,
        created_at=at,
    )
    envelope = said(
        decision,
        by="telegram",
        tenant=office.tenant,
        at=at,
        reply_to=office.bus.address,
        not_after=not_after,
    )
    try:
        heard = await office.bus.ask(
            envelope,
            timeout_s=_OUTCOME_S,
            until=lambda one: not isinstance(one.body, Approved),
        )
        body = heard[-1].body
    except NoReply:
        body = None

    if isinstance(body, Refused | Awaiting | Outcome):
        return body

    return await _recorded(office, decision_id)


async def _recorded(office: Office, decision_id: str) -> Refused | Awaiting | Outcome:
    """What the record says by now."""
    record = await office.store.decisions.get(office.tenant, decision_id)
    if record is not None and record.outcome is not None:
        return record.outcome

    if record is not None and not isinstance(record.verdict, Approved):
        return record.verdict

    raise TemporaryError(code="gate_unavailable")
