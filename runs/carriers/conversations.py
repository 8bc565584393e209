"""Conversations: made by a decision, and belonging to whoever asked for it."""

from __future__ import annotations

from contracts import Channel, ConversationRow, InvalidInput, NotFound, derived_id, read
from contracts.action_args import Bind, CreateConversation
from runs.carriers.carrying import Carried, Use
from store import Conversations


class ConversationBinding:
    """Carries ``conversation.bind`` and ``.unbind`` out: which flow a chat talks to."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. Raises NotFound for a conversation of somebody else."""
        decision = use.decision
        id_ = str(decision.args["conversation_id"])
        bind = decision.action == "conversation.bind"
        flow = read(Bind, decision.args).flow if bind else None
        row = await self._conversations.get(use.tenant, id_)
        is_all = "policy.manage" in decision.principal.permissions
        if row is None or not (is_all or row.subject == use.approved.subject):
            raise NotFound(f"There is no conversation {id_} of yours.")

        await self._conversations.bind(use.tenant, id_, flow)
        return Carried({"id": id_, "flow": flow})


class ConversationCreating:
    """Carries ``conversation.create`` out."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def __call__(self, use: Use) -> Carried:
        """See Carrier. The id follows from the decision's."""
        decision = use.decision
        args = read(CreateConversation, decision.args)
        chat = args.channel == "telegram"
        if chat and decision.channel.kind != "telegram":
            raise InvalidInput("A conversation in Telegram begins there.")

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
