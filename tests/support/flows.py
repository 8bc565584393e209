"""Workflows and tools for engines, as short as a test wants to say them."""

from __future__ import annotations

from typing import Any

from contracts import JsonObject

START: JsonObject = {"id": "start", "type": "workflow_start"}


def flow(*nodes: JsonObject, edges: str, **more: Any) -> JsonObject:
    """A workflow named ``flow`` with a start node.

    ``edges`` is ``a b, b c error, a d otherwise``: source, target, and how it is taken.
    """
    return {
        "name": "flow",
        "kind": "workflow",
        "nodes": [START, *nodes],
        "edges": [_edge(edge.split()) for edge in edges.split(",")],
        **more,
    }


def _edge(parts: list[str]) -> JsonObject:
    source, target, *how = parts
    edge: JsonObject = {"from": source, "to": target}
    if how == ["otherwise"]:
        edge["otherwise"] = True
    elif how and how[0] == "if":
        edge["when"] = " ".join(how[1:])
    elif how:
        edge["on"] = how[0]

    return edge


def end(node: str = "end", **output: Any) -> JsonObject:
    """An end node."""
    return {"id": node, "type": "workflow_end", "output": output}


def transform(node: str, **output: Any) -> JsonObject:
    """A node that computes values."""
    return {"id": node, "type": "transform", "output": output}


def call(node: str, tool: str = "tick", **more: Any) -> JsonObject:
    """A node that calls a tool."""
    return {"id": node, "type": "tool", "tool": tool, **more}


def wait(node: str = "nap", **more: Any) -> JsonObject:
    """A node that waits."""
    return {"id": node, "type": "wait", **more}


def approval(node: str = "ask", **more: Any) -> JsonObject:
    """A node that waits for a person."""
    return {"id": node, "type": "approval", "message": "May it?", **more}


def tool(name: str = "tick", effect: str = "idempotent", **more: Any) -> JsonObject:
    """A tool that needs no decision of its own unless it is not idempotent."""
    given = {"name": name, "kind": "python", "effect": effect, "timeout_s": 5}
    return {**given, **more}


def one_call(**node: Any) -> JsonObject:
    """Start, one call of ``tick`` with an input, end with its output."""
    return flow(
        call("act", input={"n": 1}, **node),
        end(got="${act}"),
        edges="start act, act end",
    )
