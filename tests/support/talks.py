"""Conversations, turn events and messages for tests."""

from __future__ import annotations

from typing import Any

from contracts import (
    Channel,
    ChatMessage,
    ConversationRow,
    TurnEvent,
    TurnEventType,
    new_id,
)
from store import TurnAppend
from tests.support.stored import TENANT, at


def conversation(address: str = "", **more: Any) -> ConversationRow:
    """A conversation of Ada's."""
    given = {
        "id": new_id("cnv"),
        "tenant": TENANT,
        "subject": "sub_ada",
        "channel": Channel(kind="telegram" if address else "http", address=address),
        "decision_id": new_id("dec"),
        "created_at": at(0),
        **more,
    }
    return ConversationRow(**given)


def turn_event(
    row: ConversationRow, seq: int, type_: TurnEventType, **payload: Any
) -> TurnEvent:
    """An event of a conversation's log."""
    return TurnEvent(
        id=new_id("evt"),
        conversation_id=row.id,
        turn_id="trn_01m8apnsa9e0b2b8bydeqenstt",
        seq=seq,
        type=type_,
        at=at(seq),
        payload=payload,
    )


def turn_append(
    row: ConversationRow, first: int, *types: TurnEventType, **more: Any
) -> TurnAppend:
    """An append of events of these types, by ``w1`` unless it is said otherwise."""
    events = tuple(turn_event(row, n, type_) for n, type_ in enumerate(types, first))
    return TurnAppend(events, more.pop("writer", "w1"), **more)


def chat(first: int, *texts: str) -> tuple[ChatMessage, ...]:
    """Messages in turn of a person and the assistant, from this number on."""
    return tuple(
        ChatMessage(n=n, role="user" if n % 2 else "assistant", text=text, at=at(n))
        for n, text in enumerate(texts, first)
    )
