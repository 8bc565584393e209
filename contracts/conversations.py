"""A conversation: its row in the store, its turn log, its state as folded from it.

A conversation is an aggregate like a run: an inbox that others lay something into, a
log that only its owner writes, and a history of what was said.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.chats import ChatText
from contracts.clock import Timestamp
from contracts.decisions import Channel
from contracts.ids import Id, derived_id
from contracts.message import JsonObject, Message
from contracts.runs import Lease

TurnEventType = Literal[
    "turn_proposed",
    "model_request",
    "model_response",
    "model_error",
    "decision_proposed",
    "decision_heard",
    "run_heard",
    "reply_made",
    "reply_delivered",
    "turn_awaiting",
    "turn_ended",
    "turn_failed",
    "summary_made",
]
"""What may stand in a turn log.

``turn_proposed``: the first decision of a message, logged before it is sent.
``model_request`` before each call, and ``model_response`` or ``model_error`` after it,
before anything acts on the answer. ``decision_proposed`` before each decision is sent,
``decision_heard`` with its verdict or outcome. ``run_heard``: a run the turn started
has ended. ``reply_made`` before it is sent. ``turn_awaiting`` and ``turn_ended`` end a
turn; ``turn_failed`` too, and changes neither summary nor cached state.
``summary_made``: between turns, what was said long ago was summed up.
"""

ENDS_TURN: frozenset[str] = frozenset({"turn_awaiting", "turn_ended", "turn_failed"})


class TurnEvent(Message):
    """One line of a conversation's turn log."""

    id: Id
    conversation_id: Id
    turn_id: Id
    """One ``trn_`` id a turn, derived of the inbox item that opened it."""

    seq: int = Field(ge=1)
    """1 for the first of the conversation, without gaps."""

    type: TurnEventType
    at: Timestamp
    payload: JsonObject = Field(default_factory=dict)


class Recollection(Message):
    """What a conversation carries from turn to turn, written whole at a turn's end."""

    summary: ChatText | None = None
    summarised: int = 0
    """The summary tells of the messages up to this ``n``."""

    cached_state: JsonObject = Field(default_factory=dict)
    """What the stages of the conversation's flow remembered: ``cached_state.json``."""


class ConversationState(Message):
    """A conversation as its log tells it up to ``seq``.

    It is written with the append that ends a turn; in between a reader folds the
    events after ``seq`` onto it, which are those of the open turn.
    """

    seq: int = 0
    turns: int = 0
    messages: int = 0
    """The ``n`` of the last message of the history."""

    waiting: dict[str, str] = Field(default_factory=dict)
    """Decisions that wait for a person or a run, and the turn that proposed each."""


class ConversationRow(Message):
    """What the store keeps of a conversation beside its log, inbox and history."""

    id: Id
    tenant: str
    subject: str
    """Whose it is; in a group the one who brought the bot in."""

    channel: Channel
    """Where replies go. Of a Telegram chat one conversation is open at a time."""

    flow: str | None = None
    """The agent flow that the chat is bound to."""

    decision_id: Id
    created_at: Timestamp
    spoke_at: Timestamp | None = None
    state: ConversationState = ConversationState()
    recollection: Recollection = Recollection()
    lease: Lease | None = None
    wake_at: Timestamp | None = None
    """When an open turn wants to be looked at."""


def turn_id_of(conversation_id: str, item_id: str) -> str:
    """The turn that an item of the inbox opens."""
    return derived_id("trn", conversation_id, item_id)


def first_decision_of(conversation_id: str, item_id: str) -> str:
    """The first decision of that turn: the same, however often it is proposed."""
    return derived_id("dec", conversation_id, item_id)


def words_of(conversation_id: str) -> str:
    """The topic of a conversation.

    The words of a model as they come (``text_said``), and that a turn has ended
    (``user_spoke``: look into the log).
    """
    return f"conversation:{conversation_id}"
