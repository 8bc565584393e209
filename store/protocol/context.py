"""The short-term context of conversations: what a turn begins with, kept at hand."""

from __future__ import annotations

from typing import Protocol

from contracts import ChatMemory


class ChatContext(Protocol):
    """The last messages of each conversation, and its rolling summary.

    Guarantees: a copy of the long-term history, bounded, that may be lost at any
    time; what is missing is None, never an error, and is rebuilt by ``replace``.
    *Whole*: what is recalled has no gap. It is the whole conversation or its last
    ``SHORT_MEMORY`` messages; a rest of it is None, and so is what cannot be read.
    *Order*: that of the messages' ``n``, whatever the order in which they came.
    *Atomic*: each verb is one statement; a reader sees all of it or nothing.
    *Again*: the same verb with the same arguments changes nothing more.
    *Apart*: tenants and conversations never see each other's.
    *Deadline*: no verb hangs. Each raises StoreUnavailable ``redis_unavailable`` if
    the server does not answer; a write may have happened then.

    A write that failed leaves an older context behind: whoever knows the ``n`` of
    the last message in the history compares it with that of the last one here.
    """

    async def recall(self, tenant: str, chat_id: str) -> ChatMemory | None:
        """The context of a conversation; None if it is missing or not whole."""

    async def append(self, tenant: str, chat_id: str, more: ChatMemory) -> None:
        """Add messages; a summary that is not None takes the place of the last one.

        Others who append at the same time lose nothing.
        """

    async def replace(self, tenant: str, chat_id: str, memory: ChatMemory) -> None:
        """Forget what there was and keep this, from the history; only its end stays."""

    async def forget(self, tenant: str, chat_id: str) -> None:
        """Remove the context of a conversation."""
