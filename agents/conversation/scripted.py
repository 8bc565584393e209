"""Conversations bound to an agent flow: what its run is given, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from contracts import ChatMemory, InboxItem, JsonObject, Recollection

REPLY = "assistantReply"
_STATE = "cachedState"


class Script(NamedTuple):
    """The flow that a conversation is bound to, and what its run begins with."""

    flow: str
    given: JsonObject


class FlowAnswer(NamedTuple):
    """What a flow says to the person, and what it wants to remember."""

    reply: str
    cached_state: JsonObject | None
    """None: it remembers what it did."""


def script_of(
    flow: str, item: InboxItem, memory: ChatMemory, recollection: Recollection
) -> Script:
    """A run of the flow for one message, with what was said and remembered before."""
    history = [{"role": one.role, "text": one.text} for one in memory.messages]
    given: JsonObject = {
        "message": item.body["text"],
        "history": history,
        "summary": memory.summary or "",
        "cached_state": recollection.cached_state,
    }
    return Script(flow, given)


def answer_in(told: JsonObject | None) -> FlowAnswer | None:
    """The answer in what is known of a run; None if it is no answer of a flow."""
    output: Any = (told or {}).get("output")
    if not isinstance(output, dict) or not isinstance(output.get(REPLY), str):
        return None

    state = output.get(_STATE)
    return FlowAnswer(output[REPLY], state if isinstance(state, dict) else None)
