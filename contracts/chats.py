"""What is said in a conversation, and the short memory that a turn begins with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.clock import Timestamp
from contracts.message import Message

SHORT_MEMORY = 20
"""So many messages of a conversation a turn begins with."""

MOST_TEXT_CHARS = 262_144
"""A text is at most so long: no answer of a model is longer."""

ChatText = Annotated[str, StringConstraints(max_length=MOST_TEXT_CHARS)]
"""A text of a conversation; any characters but halves of surrogate pairs."""


class ChatMessage(Message):
    """One message of a conversation, as it stands in the conversation's history."""

    n: int = Field(ge=1, le=2**53 - 1)
    """Its place in the history: 1 for the first, without gaps."""

    role: Literal["user", "assistant"]
    text: ChatText
    at: Timestamp


class ChatMemory(Message):
    """The last messages of a conversation, and a summary of those before them."""

    messages: tuple[ChatMessage, ...] = ()
    summary: ChatText | None = None
    """None before there is one."""
