"""Workflows and tools in the form callers send them."""

from __future__ import annotations

from typing import Any

from contracts import JsonObject

NAMED: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 80}},
    "required": ["name"],
}


def workflow(name: str, *nodes: JsonObject, edges: str, **more: Any) -> JsonObject:
    """A workflow; ``edges`` is ``a b, b c`` for a way from a over b to c."""
    pairs = [edge.split() for edge in edges.split(",") if edge.strip()]
    ways = [{"from": source, "to": target} for source, target in pairs]
    return {
        "name": name,
        "kind": "workflow",
        "nodes": list(nodes),
        "edges": ways,
        **more,
    }


def start(schema: JsonObject | None = None) -> JsonObject:
    """The start node, with the input it takes."""
    return {"id": "start", "type": "workflow_start", "input_schema": schema or NAMED}


def end(**output: Any) -> JsonObject:
    """The end node, with what it returns."""
    return {"id": "end", "type": "workflow_end", "output": output}


def transform(node: str, **output: Any) -> JsonObject:
    """A node that computes values."""
    return {"id": node, "type": "transform", "output": output}


def approval(node: str = "ask", **more: Any) -> JsonObject:
    """A node that waits for a person."""
    return {"id": node, "type": "approval", "message": "May ${start.name}?", **more}


def call(node: str, tool: str, **more: Any) -> JsonObject:
    """A node that calls a tool."""
    return {"id": node, "type": "tool", "tool": tool, **more}


def greet(greeting: str = "Hello") -> JsonObject:
    """Three pure nodes."""
    return workflow(
        "greet",
        start(),
        transform("shout", text="${start.name.upperAscii()}"),
        end(greeting=f"{greeting} ${{shout.text}}"),
        edges="start shout, shout end",
    )


def asking(name: str = "asking", **terms: Any) -> JsonObject:
    """A workflow that asks a person in its middle, and greets if they say yes."""
    return workflow(
        name,
        start(),
        approval(**terms),
        end(greeting="Hello ${start.name}"),
        edges="start ask, ask end",
    )


def wiping(**more: Any) -> JsonObject:
    """A builtin tool of high risk, so that a run of it is asked about first."""
    return {
        "name": "wipe",
        "kind": "builtin",
        "function": "echo",
        "effect": "idempotent",
        "risk": "high",
        **more,
    }
