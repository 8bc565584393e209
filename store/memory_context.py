"""The short-term context inside one process, for as long as it lives."""

from __future__ import annotations

from contracts import ChatMemory
from store.chat_memory import latest, whole

_Key = tuple[str, str]

_NOTHING = ChatMemory()


class MemoryContext:
    """ChatContext in memory; the conversations unused for longest make room."""

    def __init__(
        self, *, most_chats: int = 1_000, most_chars: int = 16_777_216
    ) -> None:
        """It holds so many conversations, and so many characters of text, at most."""
        self._most_chats = most_chats
        self._most_chars = most_chars
        self._chars = 0
        self._chats: dict[_Key, ChatMemory] = {}

    async def recall(self, tenant: str, chat_id: str) -> ChatMemory | None:
        """See ChatContext."""
        kept = self._take((tenant, chat_id))
        if kept is None:
            return None

        self._put((tenant, chat_id), kept)
        return whole(kept.messages, kept.summary)

    async def append(self, tenant: str, chat_id: str, more: ChatMemory) -> None:
        """See ChatContext."""
        kept = self._take((tenant, chat_id)) or _NOTHING
        messages = latest((*kept.messages, *more.messages))
        summary = kept.summary if more.summary is None else more.summary
        self._put((tenant, chat_id), ChatMemory(messages=messages, summary=summary))

    async def replace(self, tenant: str, chat_id: str, memory: ChatMemory) -> None:
        """See ChatContext."""
        self._take((tenant, chat_id))
        messages, summary = latest(memory.messages), memory.summary or ""
        self._put((tenant, chat_id), ChatMemory(messages=messages, summary=summary))

    async def forget(self, tenant: str, chat_id: str) -> None:
        """See ChatContext."""
        self._take((tenant, chat_id))

    def _take(self, key: _Key) -> ChatMemory | None:
        kept = self._chats.pop(key, None)
        if kept is not None:
            self._chars -= _chars(kept)

        return kept

    def _put(self, key: _Key, memory: ChatMemory) -> None:
        self._chats[key] = memory
        self._chars += _chars(memory)
        while len(self._chats) > self._most_chats or self._chars > self._most_chars:
            self._take(next(iter(self._chats)))


def _chars(memory: ChatMemory) -> int:
    texts = sum(len(message.text) for message in memory.messages)
    return texts + len(memory.summary or "")
