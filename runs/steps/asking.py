"""What a model is asked with: from a node's input and its answers so far; pure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from contracts import (
    Fault,
    FunctionCall,
    FunctionResult,
    InvalidInput,
    ModelRequest,
    SaidText,
    read_json_text,
)
from contracts.models import FunctionTool, PromptItem
from plans.plan import PlanNode, Prompt, StageTool
from plans.progress import ModelTurn, NodeProgress, Wish

MOST_WISHES = 4
"""Functions that one answer may call."""

_MOST_PROBLEMS = 20
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


class Answered(NamedTuple):
    """What a final answer comes to: a value, or how it breaks its contract."""

    output: Any
    breach: Fault | None


def request_of(node: PlanNode, known: NodeProgress) -> ModelRequest:
    """The next call of the model. Raises SluicegateError if a template fails."""
    prompt, given = _prompt(node), known.input or {}
    stage = prompt.stage
    items: list[PromptItem] = [
        SaidText(role="user", text=json.dumps(given, ensure_ascii=False))
    ]
    for turn in known.turns:
        items += _items(turn)

    schema = stage.output_schema or None
    return ModelRequest(
        instructions=_instructions(node, prompt, given),
        input=tuple(items),
        model=stage.model or "",
        output_schema=schema,
        schema_name=_ODD.sub("_", stage.name)[:64] if schema else "answer",
        tools=tuple(
            FunctionTool(
                name=name,
                description=one.tool.description,
                parameters=one.tool.input_schema or {"type": "object"},
            )
            for name, one in prompt.tools.items()
        ),
        max_output_tokens=stage.max_output_tokens,
        temperature=stage.temperature,
    )


def wish_of(node: PlanNode, id_: str, call: FunctionCall, decision_id: str) -> Wish:
    """A function call as it may be judged; without an input if it may not be."""
    tool = _prompt(node).tools.get(call.name)
    given = _given(call.arguments)
    if tool is None or isinstance(given, str) or _problem(tool.input_schema, given):
        return Wish(id_, call.name, call.arguments)

    return Wish(id_, call.name, call.arguments, given, decision_id)


def called(node: PlanNode, known: NodeProgress) -> StageTool | None:
    """The tool that the model waits for, if it waits for one."""
    wish = known.wish
    return node.prompt.tools.get(wish.name) if node.prompt and wish else None


def objection(node: PlanNode, wish: Wish) -> str:
    """What the model is told of a call that nobody can judge."""
    tool = _prompt(node).tools.get(wish.name)
    if tool is None:
        message = f"There is no function {wish.name!r}."
    else:
        given = _given(wish.arguments)
        message = (
            given if isinstance(given, str) else _problem(tool.input_schema, given)
        )

    return told("invalid", code="proposal_invalid", message=message)


def told(state: str, **more: Any) -> str:
    """What a model is told of a function it called, as JSON."""
    return json.dumps({"state": state, **more}, ensure_ascii=False)


def answered(node: PlanNode, text: str) -> Answered:
    """What the model's last words are: prose, or a value that keeps its contract."""
    if not _prompt(node).stage.output_schema:
        return Answered({"text": text}, None)

    try:
        value = read_json_text(text)
    except InvalidInput as error:
        return Answered(None, _breach("", f"It is no JSON ({error.message})"))

    problems = node.output_schema.problems(value) if node.output_schema else []
    if not problems:
        return Answered(value, None)

    first = problems[0]
    all_ = [one.model_dump() for one in problems[:_MOST_PROBLEMS]]
    return Answered(value, _breach(first.pointer, first.message, all_))


def _breach(path: str, message: str, problems: list[Any] | None = None) -> Fault:
    return Fault(
        code="stage_validation_failed",
        message=f"The answer breaks its contract at {path!r}: {message}",
        details={"validation_error_path": path, "problems": problems or []},
    )


def _items(turn: ModelTurn) -> list[PromptItem]:
    """An answer as the model is reminded of it, and what it was told."""
    items: list[PromptItem] = []
    if turn.text:
        items.append(SaidText(role="assistant", text=turn.text))

    items += [
        FunctionCall(call_id=one.id, name=one.name, arguments=one.arguments)
        for one in turn.wishes
    ]
    items += [
        FunctionResult(call_id=one.id, output=turn.told.get(one.id, ""))
        for one in turn.wishes
    ]
    if turn.breach is not None:
        again = f"{turn.breach['message']} Answer again, and keep to the contract."
        items.append(SaidText(role="user", text=again))

    return items


def _instructions(node: PlanNode, prompt: Prompt, given: Any) -> str:
    rendered = str(prompt.instructions.render({"input": given}))
    parts = [
        f"Knowledge {name}:\n{json.dumps(content, ensure_ascii=False)}"
        for name, content in node.knowledge.items()
    ]
    return "\n\n".join([rendered, *parts])


def _prompt(node: PlanNode) -> Prompt:
    if node.prompt is None:
        raise TypeError(f"The node {node.id!r} asks no model.")

    return node.prompt


def _given(arguments: str) -> dict[str, Any] | str:
    """The arguments of a call, or why they are none."""
    try:
        value = read_json_text(arguments or "{}")
    except InvalidInput as error:
        return f"The arguments are no JSON object ({error.message})."

    return value if isinstance(value, dict) else "The arguments are no JSON object."


def _problem(schema: Any, given: dict[str, Any]) -> str:
    problems = schema.problems(given) if schema is not None else []
    return f"At {problems[0].pointer!r}: {problems[0].message}" if problems else ""
