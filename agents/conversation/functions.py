"""The functions that a model may call, each of which becomes a decision; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StringConstraints

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

ASK_USER = "ask_user"
"""The function that ends the turn with a question; the turn's verdict covers it."""

_MOST_OPTIONS = 10
_SHOWN_CHARS = 2_000

_ACTIONS: dict[str, Action] = {
    "run_workflow": "workflow.run",
    "call_tool": "tool.call",
}


class Offer(Message):
    """A workflow or tool, as the model is told of it."""

    name: str
    description: str = ""
    input_schema: JsonObject


class Offered(NamedTuple):
    """What a model is told of a kind."""

    shown: Sequence[Offer]
    is_all: bool = True
    """Whether there are no others, which may be called by a name the person knows."""


def functions(workflows: Offered, tools: Offered) -> tuple[FunctionTool, ...]:
    """What is offered: nothing that there is nothing for."""
    offered = (
        ("run_workflow", "workflow", "Run a workflow and hear its result.", workflows),
        ("call_tool", "tool", "Call a tool and hear its result.", tools),
    )
    acting = tuple(
        FunctionTool(
            name=name,
            description=f"{told}\n{_listed(offers)}",
            parameters=_parameters(field, offers),
        )
        for name, field, told, offers in offered
        if offers.shown
    )
    return (*acting, _ASKING) if acting else ()


class Question(Message):
    """What a model asks the person before it goes on."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=_SHOWN_CHARS)]
    options: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=200)], ...],
        Field(max_length=_MOST_OPTIONS),
    ] = ()

    @property
    def text(self) -> str:
        """As the person reads it."""
        return "\n".join([self.question, *(f"– {one}" for one in self.options)])


def question_of(call: FunctionCall, *, alone: bool) -> Question:
    """What a call of ``ask_user`` asks. Raises InvalidInput ``proposal_invalid``.

    It stands alone in an answer: what other functions come to is read before.
    """
    if not alone:
        raise _invalid("Ask alone, once you know what the other functions came to.")

    try:
        return read(Question, _given(call))
    except InvalidInput as error:
        raise _invalid(error.message) from error


def proposal_of(call: FunctionCall) -> tuple[Action, JsonObject]:
    """The action that a call proposes, and its arguments.

    Raises InvalidInput ``proposal_invalid`` for what is none, told to the model.
    """
    action = _ACTIONS.get(call.name)
    if action is None:
        known = ", ".join((*_ACTIONS, ASK_USER))
        raise _invalid(f"There is no function {call.name[:64]!r}; there are {known}.")

    given = _given(call)
    if not given.keys() <= {"workflow", "tool", "input"}:
        raise _invalid(_NO_PARAMETERS)

    try:
        read(ACTIONS[action].args, given)
    except InvalidInput as error:
        raise _invalid(error.message) from error

    return action, given


def _given(call: FunctionCall) -> JsonObject:
    """The arguments, an object. Raises InvalidInput ``proposal_invalid``."""
    try:
        given = read_json_text(call.arguments)
    except InvalidInput as error:
        raise _invalid(f"The arguments are not JSON: {error.message}") from error

    if not isinstance(given, dict):
        raise _invalid(_NO_PARAMETERS)

    return given


def _parameters(field: str, offers: Offered) -> JsonObject:
    names = {"enum": [offer.name for offer in offers.shown]} if offers.is_all else {}
    return {
        "type": "object",
        "properties": {
            field: {"type": "string", **names},
            "input": {"type": "object"},
        },
        "required": [field, "input"],
    }


_MORE = "- There are more: the person may name one."
_NO_PARAMETERS = "The arguments are an object of the function's parameters."
_ASKING = FunctionTool(
    name=ASK_USER,
    description="Ask the person something you must know before you can go on. "
    "The turn ends with it; the answer is the person's next message.",
    parameters={
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "options": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["question"],
    },
)


def _listed(offers: Offered) -> str:
    lines = [
        f"- {offer.name}: {offer.description or 'no description'}; "
        f"input: {_short(offer.input_schema)}"
        for offer in offers.shown
    ]
    return "\n".join(lines if offers.is_all else [*lines, _MORE])


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="proposal_invalid")
