"""The inbox of a conversation as doors see it: so much may lie there, and no more."""

from __future__ import annotations

from contracts import LIMITS, ConversationRow, TemporaryError
from store import Conversations

_RETRY_S = 5.0


async def check_room(conversations: Conversations, row: ConversationRow) -> None:
    """Return if one more text may be laid in.

    Raises TemporaryError ``rate_limited``, StoreUnavailable.
    """
    most = LIMITS["inbox_texts"]
    lying = await conversations.drain(row.tenant, row.id)
    if sum(1 for item in lying if item.kind == "said") >= most:
        raise TemporaryError(
            f"{most} texts wait for an answer in this conversation already.",
            code="rate_limited",
            delay=_RETRY_S,
            details={"limit": most},
        )
