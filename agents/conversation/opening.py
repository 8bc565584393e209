"""What an item of the inbox opens: a turn, and the first decision of it; pure."""

from __future__ import annotations

from typing import NamedTuple

from agents.conversation.commands import Command, parse
from agents.conversation.scripted import Script
from agents.conversation.turns import TurnKind
from contracts import (
    Action,
    Channel,
    ConversationRow,
    Decision,
    InboxItem,
    JsonObject,
    Principal,
    Proposer,
    Timestamp,
    first_decision_of,
    later,
    read,
    turn_id_of,
)

BINDINGS = frozenset({"conversation.bind", "conversation.unbind"})
"""Actions on the very conversation in which they are said."""

PROPOSER = Proposer(kind="agent", id="conversation")


class Asker(NamedTuple):
    """For whom a turn is, and where its reply goes."""

    principal: Principal
    channel: Channel


class Opening(NamedTuple):
    """A turn that is about to be proposed."""

    turn_id: str
    kind: TurnKind
    decision: Decision


def asker_of(item: InboxItem) -> Asker:
    """Who said something, as authentication found out."""
    body = item.body
    return Asker(read(Principal, body["principal"]), read(Channel, body["channel"]))


def command_of(item: InboxItem) -> Command | None:
    """The command that was said, if it was one."""
    return parse(item.body["text"])


def opened_by_words(
    row: ConversationRow,
    item: InboxItem,
    script: Script | None,
    at: Timestamp,
    ttl_s: float,
) -> Opening:
    """The turn of a text: a command's action, a flow's run, or a turn to think."""
    command = command_of(item)
    kind: TurnKind = "flow"
    action: Action = "workflow.run"
    if command is not None and command.action is not None:
        kind, action, args = "command", command.action, command.args or {}
        if action in BINDINGS:
            args = {**args, "conversation_id": row.id}
    elif command is None and script is not None:
        args = {"flow": script.flow, "input": script.given}
    else:
        kind = "talk" if command is None else "told"
        action, args = _turn(row, item)

    return _opening(row, item, kind, (action, args), (asker_of(item), at, ttl_s))


def continued(
    row: ConversationRow, item: InboxItem, asker: Asker, at: Timestamp, ttl_s: float
) -> Opening:
    """The turn that goes on with what was waited for."""
    return _opening(row, item, "continuation", _turn(row, item), (asker, at, ttl_s))


def _turn(row: ConversationRow, item: InboxItem) -> tuple[Action, JsonObject]:
    return "conversation.turn", {"conversation_id": row.id, "inbox_id": item.id}


def _opening(
    row: ConversationRow,
    item: InboxItem,
    kind: TurnKind,
    proposal: tuple[Action, JsonObject],
    by: tuple[Asker, Timestamp, float],
) -> Opening:
    (action, args), (asker, at, ttl_s) = proposal, by
    decision = Decision(
        id=first_decision_of(row.id, item.id),
        action=action,
        args=args,
        proposer=PROPOSER,
        principal=asker.principal,
        channel=asker.channel,
        conversation_id=row.id,
        created_at=at,
        not_after=later(at, ttl_s),
    )
    return Opening(turn_id_of(row.id, item.id), kind, decision)
