"""Conversations: made by a decision, and belonging to whoever asked for it."""

from __future__ import annotations

from contracts import Channel, ConversationRow, derived_id, read
from contracts.action_args import CreateConversation
from runs.carriers.carrying import Carried, Use
from store import Conversations


class ConversationCreating:
    """Carries ``conversation.create`` out."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. The id follows from the decision's."""
        decision = use.decision
        args = read(CreateConversation, decision.args)
        chat = args.channel == decision.channel.kind == "telegram"
        address = decision.channel.address if chat else ""
        row, _ = await self._conversations.create(
            ConversationRow(
                id=derived_id("cnv", decision.id),
                tenant=use.tenant,
                subject=use.approved.subject,
                channel=Channel(kind=args.channel, address=address),
                decision_id=decision.id,
                created_at=use.at,
            )
        )
        return Carried({"id": row.id})
