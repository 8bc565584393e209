"""The examples: they compile, and lead where they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts import JsonObject, digest
from contracts.definitions import Tool
from plans import (
    CatalogEntry,
    Frontier,
    Plan,
    PlanNode,
    check_tool,
    compile_workflow,
    read_definition,
    read_workflow,
    read_yaml,
)

_FOLDER = Path(__file__).parents[2] / "examples"
_WORKFLOWS = sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def tools() -> dict[str, CatalogEntry]:
    found: dict[str, CatalogEntry] = {}
    for path in sorted((_FOLDER / "tools").glob("*.yaml")):
        tool = read_definition("tool", read_yaml(path.read_bytes()), source="yaml")
        assert isinstance(tool, Tool)
        assert tool.name == path.stem
        check_tool(tool)
        found[f"tool:{tool.name}"] = CatalogEntry(digest(tool.plain()), tool)

    return found


def example(name: str) -> Plan:
    body = read_yaml((_FOLDER / f"{name}.yaml").read_bytes())
    made = read_workflow(body, source="yaml")
    assert made.name == name
    return compile_workflow(made, digest(made.plain()), tools())


def output_of(node: PlanNode, values: JsonObject, answers: JsonObject) -> Any:
    """What a node comes to; tools answer as told."""
    given = node.template.render(values) if node.template else None
    if node.tool is None:
        return given

    assert node.input_schema is None or not node.input_schema.problems(given)
    return answers[node.id]


def walked(name: str, given: JsonObject, **answers: Any) -> tuple[list[str], Any]:
    """The nodes that began, in order, and the output of the last of them."""
    plan = example(name)
    schema = plan.nodes[plan.start].input_schema
    assert schema is not None
    assert schema.problems(given) == []
    values: JsonObject = {**dict.fromkeys(plan.nodes), "start": given, "run": {}}
    frontier, began, ready = Frontier(plan), list[str](), [plan.start]
    while ready:
        node = plan.nodes[ready.pop(0)]
        began.append(node.id)
        if node.id != plan.start:
            values[node.id] = output_of(node, values, answers)

        end = "error" if values[node.id] is Exception else "done"
        ready += frontier.settle(node.id, end, values).ready  # type: ignore[arg-type]

    return began, values[began[-1]]


def test_there_are_the_examples_the_pages_speak_of() -> None:
    assert _WORKFLOWS == ["fetch-and-summarise", "greet", "order"]


@pytest.mark.parametrize("name", _WORKFLOWS)
def test_every_example_compiles_without_a_warning(name: str) -> None:
    assert example(name).warnings == ()


def test_greet_is_pure_and_greets() -> None:
    assert example("greet").facts["effects"] == []
    assert walked("greet", {"name": "Ada"}) == (
        ["start", "shout", "end"],
        {"greeting": "Hello ADA", "letters": 3},
    )


def test_a_long_page_is_summarised_and_a_short_one_shown() -> None:
    long = walked("fetch-and-summarise", {}, fetch={"text": "# a\nb\nc\nd\n"})
    short = walked("fetch-and-summarise", {"page": "healthz"}, fetch={"status": "ok"})

    assert long == (
        ["start", "fetch", "content", "count", "how_long", "long", "end"],
        {"summary": "4 lines from '# a' on", "characters": 10, "lines": 4},
    )
    assert short[0][-2:] == ["short", "end"]
    assert short[1] == {"summary": "ok", "characters": 2, "lines": 1}


def test_an_empty_page_and_none_at_all_fail_each_in_its_way() -> None:
    empty, _ = walked("fetch-and-summarise", {}, fetch={"text": ""})
    none, _ = walked("fetch-and-summarise", {}, fetch=Exception)

    assert empty[-1] == "empty"
    assert none[-1] == "unreachable"


def test_an_order_looks_up_twice_and_then_asks_for_itself() -> None:
    plan = example("order")
    began, output = walked(
        "order",
        {"item": "lamp", "quantity": 2},
        price={"value": 4990},
        stock={"value": 12},
        order={"uuid": "0" * 36},
    )

    assert began == ["start", "price", "stock", "possible", "order", "end"]
    assert output["total_cents"] == 9980
    assert plan.facts["approvals"] == ["order"]
    assert [node.id for node in plan.nodes.values() if node.needs_own_decision] == [
        "order"
    ]


@pytest.mark.parametrize(
    ("price", "stock", "last"),
    [(None, None, "unknown_item"), (4990, 1, "out_of_stock")],
)
def test_what_cannot_be_ordered_is_not(
    price: int | None, stock: int | None, last: str
) -> None:
    began, _ = walked(
        "order",
        {"item": "lamp", "quantity": 2},
        price={"value": price},
        stock={"value": stock},
    )

    assert began[-1] == last
    assert "order" not in began
