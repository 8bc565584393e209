"""docs/definitions.md: what it shows is taken, what it names is there."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from contracts import CODES, JsonObject
from contracts.definitions import WORKFLOW_NODE_TYPES, Tool
from plans import KINDS, check_tool, read_definition, read_yaml
from tests.support.workflows import END, START, catalog, plan, tool

_PAGE = (Path(__file__).parents[2] / "docs" / "definitions.md").read_text("utf-8")
_BLOCKS = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)


def block(beginning: str) -> str:
    found: str = next(text for text in _BLOCKS if text.startswith(beginning))
    return found


@pytest.mark.parametrize("text", _BLOCKS, ids=lambda text: text.splitlines()[0])
def test_every_block_is_yaml_that_is_taken(text: str) -> None:
    listed = text if not text.startswith("- ") else f"nodes:\n{text}"

    assert read_yaml(listed.encode())


def test_the_first_workflow_compiles() -> None:
    assert plan(read_yaml(block("name: greet").encode())).start == "start"


def test_the_nodes_compile_together() -> None:
    nodes = read_yaml(f"nodes:\n{block('- {id: look')}".encode())["nodes"]
    ways = ["start", "look", "pick"], ["ask", "buy", "pause", "later", "paid", "end"]
    edges = [
        {"from": source, "to": target}
        for way in ways
        for source, target in pairwise(way)
    ]
    body: JsonObject = {"name": "x", "nodes": [START, *nodes, END], "edges": edges}
    entries = catalog(tool("look-up"), tool("place-order"))

    assert len(plan(body, entries).nodes) == len(nodes) + 2


def test_the_tool_is_well() -> None:
    made = read_definition("tool", read_yaml(block("name: create-ticket").encode()))

    assert isinstance(made, Tool)
    check_tool(made)


def test_every_node_type_is_on_the_page() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", _PAGE, re.MULTILINE))
    later = re.search(r"put together\.\n(.*?)can be written", _PAGE, re.DOTALL)

    assert rows & WORKFLOW_NODE_TYPES == KINDS.keys()
    assert later is not None
    assert set(re.findall(r"`(\w+)`", later[1])) == WORKFLOW_NODE_TYPES - KINDS.keys()


def test_every_code_on_the_page_is_one() -> None:
    refused = _PAGE.partition("## What is refused")[2]
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", refused))

    assert named <= CODES.keys()
