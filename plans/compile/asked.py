"""The parts of nodes that ask a model: stage, instructions, tools, knowledge."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from contracts import InvalidInput, JsonObject, read
from contracts.definitions import (
    Classify,
    Knowledge,
    ModelNode,
    Notify,
    Stage,
    Tool,
)
from plans.compile.scope import Problems
from plans.expressions import compile_template
from plans.plan import Catalog, Prompt, StageTool
from plans.schemas import compile_schema

_ODD = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 64
_CHOOSING = "Pick the one route that fits the input best."


def stage_of(name: str, catalog: Catalog) -> Stage | None:
    """The stage of this name, if there is one."""
    entry = catalog.get(f"stage:{name}")
    return entry.body if entry is not None and isinstance(entry.body, Stage) else None


def prompt_of(
    stage: Stage, catalog: Catalog, at: str, problems: Problems
) -> Prompt | None:
    """What a model is asked with; None with its problems noted."""
    try:
        instructions = compile_template(stage.instructions, ("input",))
    except InvalidInput as error:
        problems.take(f"{at}/stage", error)
        return None

    entries = (catalog.get(f"tool:{name}") for name in stage.tools)
    tools = [one.body for one in entries if one and isinstance(one.body, Tool)]
    return Prompt(
        stage=stage,
        instructions=instructions,
        tools=_by_function_name(tools),
    )


def knowledge_of(names: Iterable[str], catalog: Catalog) -> dict[str, JsonObject]:
    """The contents of these, by name; what is missing is noted with the references."""
    entries = {name: catalog.get(f"knowledge:{name}") for name in names}
    return {
        name: entry.body.content
        for name, entry in entries.items()
        if entry is not None and isinstance(entry.body, Knowledge)
    }


def choosing(node: Classify, stage: Stage | None) -> Stage:
    """The stage of a node that picks a way: its answer names one of the routes."""
    lines = [f"- {one.name}: {one.description}".rstrip(": ") for one in node.routes]
    base = stage.instructions if stage is not None else _CHOOSING
    name = stage.name if stage is not None else node.id
    said: dict[str, Any] = stage.plain() if stage is not None else {}
    return read(
        Stage,
        {
            **said,
            "name": name,
            "instructions": "\n".join([base, "", "Routes:", *lines]),
            "output_schema": {
                "type": "object",
                "properties": {"route": {"enum": [one.name for one in node.routes]}},
                "required": ["route"],
                "additionalProperties": False,
            },
        },
    )


def refuse_approval(
    node: ModelNode | Classify | Notify, at: str, problems: Problems
) -> None:
    """Note what a node that asks a model, or tells a chat, cannot do."""
    if node.approval is not None:
        message = f"A {node.type} node asks no person; put an approval before it."
        problems.tell(f"{at}/approval", "invalid", message)

    if isinstance(node, Classify) and node.on_error == "continue":
        message = "A node that picks a way cannot go on without one; name a default."
        problems.tell(f"{at}/on_error", "invalid", message)


def _by_function_name(tools: list[Tool]) -> dict[str, StageTool]:
    """The tools by names that every model's service takes, each a different one."""
    named: dict[str, StageTool] = {}
    for tool in tools:
        plain = _ODD.sub("_", tool.name)[:_LONGEST_NAME]
        name, n = plain, 1
        while name in named:
            n += 1
            name = f"{plain[: _LONGEST_NAME - 4]}_{n}"

        named[name] = _stage_tool(tool)

    return named


def _stage_tool(tool: Tool) -> StageTool:
    """A tool whose schemas were checked when it was saved."""

    def compiled(schema: JsonObject) -> Any:
        return compile_schema(schema) if schema else None

    return StageTool(tool, compiled(tool.input_schema), compiled(tool.output_schema))
