"""Older forms of definitions, brought to the present one before they are read."""

from __future__ import annotations

from pydantic import JsonValue

_OLDER_TOOL_NAMES = ("toolId", "tool_id")


def modern(body: JsonValue) -> JsonValue:
    """The body with ``toolId`` and ``tool_id`` of its tool nodes called ``tool``.

    Anything else, wrong things too, is left as it is.
    """
    nodes = body.get("nodes") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(nodes, list):
        return body

    return {**body, "nodes": [_modern_node(node) for node in nodes]}


def _modern_node(node: JsonValue) -> JsonValue:
    if not isinstance(node, dict) or node.get("type") != "tool" or "tool" in node:
        return node

    older = next((name for name in _OLDER_TOOL_NAMES if name in node), "tool")
    return {"tool" if name == older else name: part for name, part in node.items()}
