"""Mail for conversations: what came of their proposals lies in their inboxes."""

from __future__ import annotations

import structlog

from bus import Bus
from contracts import (
    BusUnavailable,
    Clock,
    Decision,
    DecisionRecord,
    InboxItem,
    Outcome,
    RunEnded,
    UserSpoke,
    Verdict,
    said,
    stamp,
)
from store import Conversations

_NAME = "mail"


class Mail:
    """Lays items into inboxes and rings; an item laid in twice is one item.

    A bell that is not heard is no harm: the sweep finds what lies unhandled.
    """

    def __init__(self, conversations: Conversations, bus: Bus, clock: Clock) -> None:
        self._conversations = conversations
        self._bus = bus
        self._clock = clock
        self._log = structlog.get_logger(_NAME).bind()

    async def verdict(self, record: DecisionRecord, verdict: Verdict) -> bool:
        """Tell a conversation the verdict on what it proposed; whether it is new.

        Raises StoreUnavailable.
        """
        return await self._tell(record, "verdict", verdict.id, verdict)

    async def outcome(self, record: DecisionRecord, outcome: Outcome) -> None:
        """Tell it what came of what it proposed. Raises StoreUnavailable."""
        await self._tell(record, "outcome", record.id, outcome)

    async def run_ended(self, tenant: str, ended: RunEnded, *, chain: str) -> None:
        """Tell a conversation of the end of a run it began. Raises StoreUnavailable."""
        body = {"run_id": ended.run_id, "status": ended.status}
        item = InboxItem(
            id=f"run_ended:{ended.run_id}",
            kind="run_ended",
            at=stamp(self._clock.now()),
            body=body,
        )
        await self.lay(tenant, ended.origin.id, item, chain)

    async def lay(
        self, tenant: str, conversation_id: str, item: InboxItem, chain: str
    ) -> bool:
        """Lay an item in and ring; whether it is new."""
        if not await self._conversations.put(tenant, conversation_id, item):
            return False

        bell = said(
            UserSpoke(conversation_id=conversation_id),
            by=_NAME,
            tenant=tenant,
            at=item.at,
            correlation_id=chain,
        )
        try:
            await self._bus.publish(bell)
        except BusUnavailable as error:
            self._log.warning("hint.dropped", what="user_spoke", error=error.message)

        return True

    async def _tell(
        self, record: DecisionRecord, kind: str, of: str, body: Verdict | Outcome
    ) -> bool:
        decision = record.decision
        if not is_of_conversation(decision):
            return False

        item = InboxItem.model_validate(
            {
                "id": f"{kind}:{of}",
                "kind": kind,
                "at": stamp(self._clock.now()),
                "body": {"decision_id": decision.id, kind: body.plain()},
            }
        )
        conversation_id = decision.conversation_id or ""
        return await self.lay(
            decision.principal.tenant, conversation_id, item, record.correlation_id
        )


def is_of_conversation(decision: Decision) -> bool:
    """Whether a conversation proposed it, and hears of it in its inbox."""
    by_agent = decision.proposer.kind == "agent"
    return by_agent and decision.conversation_id is not None and not decision.dry_run
