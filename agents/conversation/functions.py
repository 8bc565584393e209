"""The functions that a model may call, each of which becomes a decision; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contracts import (
    ACTIONS,
    Action,
    FunctionCall,
    FunctionTool,
    InvalidInput,
    JsonObject,
    Message,
    read,
    read_json_text,
)

MOST_CALLS = 4
"""Functions that one answer may call."""

_ACTIONS: dict[str, Action] = {
    "run_workflow": "workflow.run",
    "call_tool": "tool.call",
}


class Offer(Message):
    """A workflow or tool, as the model is told of it."""

    name: str
    description: str = ""
    input_schema: JsonObject


def functions(
    workflows: Sequence[Offer], tools: Sequence[Offer]
) -> tuple[FunctionTool, ...]:
    """What is offered: nothing that there is nothing for."""
    offered = (
        ("run_workflow", "workflow", "Run a workflow and hear its result.", workflows),
        ("call_tool", "tool", "Call a tool and hear its result.", tools),
    )
    return tuple(
        FunctionTool(
            name=name,
            description=f"{told}\n{_listed(offers)}",
            parameters=_parameters(field, offers),
        )
        for name, field, told, offers in offered
        if offers
    )


def proposal_of(call: FunctionCall) -> tuple[Action, JsonObject]:
    """The action that a call proposes, and its arguments.

    Raises InvalidInput ``proposal_invalid`` for what is none, told to the model.
    """
    action = _ACTIONS.get(call.name)
    if action is None:
        known = ", ".join(_ACTIONS)
        raise _invalid(f"There is no function {call.name[:64]!r}; there are {known}.")

    try:
        given = read_json_text(call.arguments)
    except InvalidInput as error:
        raise _invalid(f"The arguments are not JSON: {error.message}") from error

    allowed = {"workflow", "tool", "input"}
    if not isinstance(given, dict) or not given.keys() <= allowed:
        raise _invalid("The arguments are an object of the function's parameters.")

    try:
        read(ACTIONS[action].args, given)
    except InvalidInput as error:
        raise _invalid(error.message) from error

    return action, given


def _parameters(field: str, offers: Sequence[Offer]) -> JsonObject:
    return {
        "type": "object",
        "properties": {
            field: {"type": "string", "enum": [offer.name for offer in offers]},
            "input": {"type": "object"},
        },
        "required": [field, "input"],
    }


def _listed(offers: Sequence[Offer]) -> str:
    return "\n".join(
        f"- {offer.name}: {offer.description or 'no description'}; "
        f"input: {_short(offer.input_schema)}"
        for offer in offers
    )


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="proposal_invalid")
