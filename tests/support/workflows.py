"""Workflows for tests, said in few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from contracts import InvalidInput, JsonObject, digest
from contracts.definitions import Tool, Workflow
from plans import Catalog, CatalogEntry, Plan, compile_workflow, read_workflow

Told = list[tuple[str, str]]
"""Pointer and code of each problem."""

START: JsonObject = {"id": "start", "type": "workflow_start"}
END: JsonObject = {"id": "end", "type": "workflow_end"}


def workflow(
    nodes: Iterable[Mapping[str, Any]], edges: Iterable[str], **fields: Any
) -> JsonObject:
    """A workflow of start, these nodes and end; an edge is ``a>b`` or ``a>b!error``."""
    return {
        "name": "greet",
        "nodes": [START, *nodes, END],
        "edges": [edge(said) for said in edges],
        **fields,
    }


def edge(said: str) -> JsonObject:
    """``a>b``, ``a>b!error``, ``a>b?condition`` or ``a>b?`` for otherwise."""
    ways, asks, when = said.partition("?")
    ways, _, end = ways.partition("!")
    source, target = ways.split(">")
    made: JsonObject = {"from": source, "to": target, "on": end or "done"}
    if when:
        made["when"] = when
    elif asks:
        made["otherwise"] = True

    return made


def transform(id_: str, **output: Any) -> JsonObject:
    return {"id": id_, "type": "transform", "output": output or {"ok": True}}


def call(id_: str, tool: str = "echo", **fields: Any) -> JsonObject:
    return {"id": id_, "type": "tool", "tool": tool, **fields}


def branch(id_: str, *cases: str, default: str | None = None) -> JsonObject:
    """A branch; a case is ``target?condition``."""
    split = (case.partition("?") for case in cases)
    said = [{"to": target, "when": when} for target, _, when in split]
    return {"id": id_, "type": "branch", "cases": said, "default": default}


def tool(name: str = "echo", **fields: Any) -> Tool:
    said = {"kind": "builtin", "effect": "none", **fields}
    return Tool.model_validate({"name": name, **said})


def catalog(*tools: Tool) -> Catalog:
    """A catalog of these tools, and of ``echo``."""
    return {
        f"tool:{one.name}": CatalogEntry(digest(one.plain()), one)
        for one in (tool(), *tools)
    }


def plan(body: JsonObject, entries: Catalog | None = None) -> Plan:
    """The compiled plan of a workflow that is well."""
    made: Workflow = read_workflow(body)
    known = catalog() if entries is None else entries
    return compile_workflow(made, digest(made.plain()), known)


def refusal(body: JsonObject, entries: Catalog | None = None) -> InvalidInput:
    """What compiling or reading this workflow raises."""
    with pytest.raises(InvalidInput) as caught:
        plan(body, entries)

    return caught.value


def told(body: JsonObject, entries: Catalog | None = None) -> Told:
    """Pointer and code of everything that is wrong with a workflow."""
    error = refusal(body, entries)
    problems = error.details["problems"]
    assert error.code == problems[0]["code"]
    assert error.details["total"] == len(problems)
    return [(one["pointer"], one["code"]) for one in problems]
