"""When the next call to a chat may be made; a chat that must wait holds up no other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_PER_SECOND = 30
"""What Telegram takes of one bot."""

_GROUP_GAP_S = 3.0
_CHAT_GAP_S = 1.0
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 60.0
_KNOWN_S = 2 * _LONGEST_BACKOFF_S
"""So long a chat's last wait matters for its next one."""

_BURST = 3
"""So many messages of one reply may follow each other at once in a private chat."""


@dataclass(slots=True)
class _Chat:
    free_at: float = 0.0
    sent: deque[float] = field(default_factory=lambda: deque(maxlen=_BURST))
    backoff_s: float = _FIRST_BACKOFF_S


class Pacing:
    """Counts calls; times are seconds of a clock that only goes forward. Pure."""

    def __init__(self) -> None:
        self._chats: dict[int, _Chat] = {}
        self._sent: deque[float] = deque(maxlen=_PER_SECOND)

    def wait_s(self, chat_id: int, now: float) -> float:
        """How long to wait before the next call to a chat; 0: none."""
        chat = self._chats.get(chat_id, _Chat())
        earliest = chat.free_at
        if len(chat.sent) == _BURST:
            gap = _GROUP_GAP_S if chat_id < 0 else _CHAT_GAP_S
            earliest = max(earliest, chat.sent[0] + gap * _BURST)

        if len(self._sent) == _PER_SECOND:
            earliest = max(earliest, self._sent[0] + 1.0)

        return max(0.0, earliest - now)

    def sent(self, chat_id: int, now: float) -> None:
        """A call was answered well."""
        chat = self._chats.setdefault(chat_id, _Chat())
        chat.sent.append(now)
        chat.backoff_s = _FIRST_BACKOFF_S
        self._sent.append(now)

    def flooded(self, chat_id: int, now: float, retry_after_s: float | None) -> float:
        """Too many calls: no call to this chat before then; the seconds until it.

        Without a number of Telegram's the wait doubles from one second.
        """
        chat = self._chats.setdefault(chat_id, _Chat())
        wait_s = chat.backoff_s if retry_after_s is None else retry_after_s
        chat.backoff_s = min(chat.backoff_s * 2, _LONGEST_BACKOFF_S)
        chat.free_at = max(chat.free_at, now + wait_s)
        return wait_s

    def forget(self, now: float) -> None:
        """Drop what no longer matters."""
        self._chats = {
            chat_id: chat
            for chat_id, chat in self._chats.items()
            if chat.free_at > now - _KNOWN_S
            or (chat.sent and chat.sent[-1] > now - _KNOWN_S)
        }
