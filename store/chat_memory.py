"""When a context is whole, and how much of one is kept: the same in every adapter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts import SHORT_MEMORY, ChatMemory, ChatMessage


def latest(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The last messages, in order, each once."""
    ordered = sorted(set(messages), key=lambda message: message.n)
    return tuple(ordered[-SHORT_MEMORY:])


def whole(messages: Sequence[ChatMessage], summary: str | None) -> ChatMemory | None:
    """A context of ordered messages; None if something of it was lost.

    It has no gap, and begins with the conversation, or is full and has a summary of
    what came before; the summary may be empty.
    """
    if not messages:
        return None

    first = messages[0].n
    gapless = all(message.n == n for n, message in enumerate(messages, first))
    full = len(messages) == SHORT_MEMORY and summary is not None
    if not gapless or not (first == 1 or full):
        return None

    return ChatMemory(messages=tuple(messages), summary=summary)
