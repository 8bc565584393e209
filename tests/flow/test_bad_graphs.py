"""Bad graphs (group G): each the stated problem, all at once, nothing stored."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from contracts import JsonObject
from tests.support.definitions import call, end, greet, start, transform, workflow
from tests.support.serving import Served

START = start({"type": "object"})
END = end()
RECORDED = {"decisions", "ledger"}


def plain(node: str) -> JsonObject:
    """A node that computes nothing."""
    return transform(node, text="")


def chain(length: int) -> JsonObject:
    """So many nodes in a row."""
    ids = [f"n{n}" for n in range(length)]
    edges = ", ".join(f"{a} {b}" for a, b in pairwise(ids))
    inner = [{"id": one, "type": "transform", "output": {}} for one in ids]
    return workflow(
        "chain", START, *inner, END, edges=f"start n0, {edges}, {ids[-1]} end"
    )


def fan(width: int) -> JsonObject:
    """A start that leads to so many nodes."""
    ids = [f"n{n}" for n in range(width)]
    edges = ", ".join(f"start {one}, {one} end" for one in ids)
    return workflow("fan", START, *map(plain, ids), END, edges=edges)


def mesh(layers: int, width: int) -> JsonObject:
    """Layers whose nodes lead to every node of the next one."""
    ids = [[f"n{n}_{m}" for m in range(width)] for n in range(layers)]
    ways = [f"start {one}" for one in ids[0]] + [f"{one} end" for one in ids[-1]]
    ways += [f"{a} {b}" for left, right in pairwise(ids) for a in left for b in right]
    inner = [plain(one) for layer in ids for one in layer]
    return workflow("mesh", START, *inner, END, edges=", ".join(ways))


def with_node(node: JsonObject, **edge: Any) -> JsonObject:
    """A workflow of one node between start and end."""
    body = workflow("one", START, node, END, edges=f"start {node['id']}")
    body["edges"].append({"from": node["id"], "to": "end", **edge})
    return body


CYCLE = "start a, a b, b a, b end"
BRANCH: JsonObject = {
    "id": "b",
    "type": "branch",
    "cases": [{"when": "true", "to": "end"}],
}

GRAPHS: dict[str, tuple[JsonObject, str]] = {
    "G1 no nodes": (workflow("x", edges=""), "graph_no_entry"),
    "G1 no entry": (workflow("x", plain("a"), END, edges="a end"), "graph_no_entry"),
    "G1 two entries": (
        workflow(
            "x", START, {**START, "id": "other"}, END, edges="start end, other end"
        ),
        "graph_many_entries",
    ),
    "no end": (workflow("x", START, plain("a"), edges="start a"), "graph_no_end"),
    "G2 cycle": (
        workflow("x", START, plain("a"), plain("b"), END, edges=CYCLE),
        "graph_cycle",
    ),
    "G2 loop to itself": (
        workflow("x", START, plain("a"), END, edges="start a, a a, a end"),
        "graph_cycle",
    ),
    "G4 unreachable": (
        workflow("x", START, plain("a"), END, edges="start end, a end"),
        "graph_unreachable",
    ),
    "G4 no way to an end": (
        workflow("x", START, plain("a"), END, edges="start a, start end"),
        "graph_unreachable",
    ),
    "G5 501 nodes": (chain(499), "graph_too_large"),
    "G5 chain of 3,000": (chain(3_000), "graph_too_large"),
    "G5 2,001 edges": (mesh(3, 32), "graph_too_large"),
    "G5 fan-out of 101": (fan(101), "graph_too_large"),
    "G7 no default": (
        workflow("x", START, BRANCH, END, edges="start b"),
        "graph_missing_default",
    ),
    "G7 conditions and no other way": (
        with_node(plain("a"), when="true"),
        "graph_missing_default",
    ),
    "G10 node type": (with_node({"id": "a", "type": "magic"}), "node_type_not_allowed"),
    "G10 tool": (with_node(call("a", "no-such-tool")), "unknown_tool"),
    "G13 timeout of 0": (with_node(call("a", "t", timeout_s=0)), "out_of_range"),
    "G13 timeout of -1": (with_node(call("a", "t", timeout_s=-1)), "out_of_range"),
    "G13 timeout of 25 h": (
        with_node(call("a", "t", timeout_s=90_000)),
        "out_of_range",
    ),
    "G13 retries": (
        with_node(call("a", "t", retry={"max_attempts": 1_000_000})),
        "out_of_range",
    ),
    "G13 backoff": (
        with_node(call("a", "t", retry={"max_attempts": 2, "backoff_s": 0})),
        "out_of_range",
    ),
    "G20 newer schema": ({**greet(), "schema_version": 99}, "definition_too_new"),
    "edge to nowhere": (
        workflow("x", START, END, edges="start end, start nowhere"),
        "graph_unknown_node",
    ),
    "one id twice": (
        workflow("x", START, plain("a"), plain("a"), END, edges="start a, a end"),
        "duplicate_node",
    ),
    "reserved id": (
        workflow("x", START, plain("run"), END, edges="start run, run end"),
        "reserved_node_id",
    ),
}


@pytest.mark.parametrize("case", GRAPHS)
async def test_a_bad_graph_is_its_problem_and_is_not_stored(
    shared: Served, case: str
) -> None:
    body, code = GRAPHS[case]
    before = await shared.counts()

    answer = await shared.api.call("POST", "/workflows", body)

    assert answer.status == 422, answer
    assert code in answer.codes, answer.problems
    assert answer.code in answer.codes
    await _expect_nothing_stored(shared, before)


async def test_all_that_is_wrong_with_a_graph_is_told_at_once(shared: Served) -> None:
    body = workflow(
        "x",
        START,
        {**START, "id": "other"},
        plain("a"),
        plain("a"),
        plain("alone"),
        call("tool", "no-such-tool"),
        transform("sum", value="${nobody.value + }"),
        END,
        edges="start a, a sum, sum a, a tool, tool end, other end, a nowhere",
    )

    answer = await shared.api.call("POST", "/workflows", body)

    assert answer.status == 422
    assert answer.codes >= {
        "graph_many_entries",
        "graph_cycle",
        "graph_unreachable",
        "graph_unknown_node",
        "duplicate_node",
        "unknown_tool",
        "cel_syntax",
    }


async def test_a_cycle_is_shown_as_the_way_it_takes(shared: Served) -> None:
    body, _ = GRAPHS["G2 cycle"]

    answer = await shared.api.call("POST", "/workflows", body)

    assert answer.code == "graph_cycle"
    assert "a → b → a" in answer.body["detail"]


async def test_missing_tools_are_listed_with_near_names(shared: Served) -> None:
    body = with_node(call("a", "ecko"))
    echo = {"name": "echo", "kind": "builtin", "effect": "none"}
    await shared.api.call("POST", "/tools", echo)

    answer = await shared.api.call("POST", "/workflows", body)

    assert answer.body["details"]["missing"] == ["tool:ecko"]
    assert answer.body["details"]["missing_tool_id"] == "ecko"
    assert "Did you mean echo?" in answer.body["detail"]


async def test_a_chain_of_ten_thousand_is_refused_by_its_size(shared: Served) -> None:
    before = await shared.counts()

    answer = await shared.api.call("POST", "/workflows", chain(10_000))

    assert answer.status in (413, 422), answer
    await _expect_nothing_stored(shared, before)


async def test_an_idempotent_tool_that_sends_no_key_is_refused(shared: Served) -> None:
    tool = {
        "name": "post",
        "kind": "http",
        "effect": "idempotent",
        "http": {"method": "POST", "url": "https://api.example/x"},
    }
    before = await shared.counts()

    answer = await shared.api.call("POST", "/tools", tool)

    assert (answer.status, answer.code) == (422, "idempotency_not_supported")
    await _expect_nothing_stored(shared, before)


async def test_an_edit_of_an_old_version_is_a_conflict(served: Served) -> None:
    await served.api.post("/workflows", greet())
    await served.api.call("PUT", "/workflows/greet?version=1", greet("Hi"))

    answer = await served.api.call("PUT", "/workflows/greet?version=1", greet("Hey"))

    assert (answer.status, answer.code) == (409, "version_conflict")
    assert answer.body["details"]["current"] == 2
    versions = (await served.api.get("/workflows/greet/versions"))["items"]
    assert [one["version"] for one in versions] == [2, 1]


async def test_a_name_that_is_taken_is_a_conflict(served: Served) -> None:
    await served.api.post("/workflows", greet())

    answer = await served.api.call("POST", "/workflows", greet("Hi"))

    assert (answer.status, answer.code) == (409, "name_conflict")


async def test_an_input_names_every_place_that_breaks_its_schema(
    served: Served,
) -> None:
    properties = {f"f{n}": {"type": "integer"} for n in range(30)}
    schema = {"type": "object", "properties": properties}
    await served.api.post(
        "/workflows", workflow("w", start(schema), END, edges="start end")
    )

    given = dict.fromkeys(properties, "x")
    answer = await served.api.call("POST", "/runs", {"workflow": "w", "input": given})

    assert answer.status == 422
    assert len(answer.problems) == 20


async def _expect_nothing_stored(served: Served, before: dict[str, int]) -> None:
    after = await served.counts()
    changed = {name for name, number in after.items() if number != before[name]}
    assert changed <= RECORDED
