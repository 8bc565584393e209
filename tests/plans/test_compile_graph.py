"""Group G: what a graph may be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from contracts import InvalidInput, JsonObject
from plans import read_workflow
from tests.support.workflows import (
    END,
    START,
    Told,
    branch,
    call,
    edge,
    plan,
    refusal,
    told,
    transform,
    workflow,
)

A, B, C = (transform(name) for name in "abc")
ASK: JsonObject = {"id": "ask", "type": "approval"}
FAIL: JsonObject = {"id": "broken", "type": "fail"}


def bare(nodes: list[JsonObject], *edges: str) -> JsonObject:
    return {"name": "x", "nodes": nodes, "edges": [edge(said) for said in edges]}


CASES: list[tuple[str, JsonObject, Told]] = [
    (
        "no nodes",
        bare([]),
        [("/nodes", "graph_no_entry"), ("/nodes", "graph_no_end")],
    ),
    ("no entry", bare([A, END], "a>end"), [("/nodes", "graph_no_entry")]),
    (
        "two entries",
        bare([START, {**START, "id": "other"}, END], "start>end", "other>end"),
        [("/nodes/1", "graph_many_entries")],
    ),
    ("no end", bare([START, A], "start>a"), [("/nodes", "graph_no_end")]),
    (
        "cycle",
        workflow([A, B], ["start>a", "a>b", "b>a", "b>end"]),
        [("/edges/2", "graph_cycle")],
    ),
    (
        "self-loop",
        workflow([A], ["start>a", "a>a", "a>end"]),
        [("/edges/1", "graph_cycle")],
    ),
    (
        "cycle by a branch",
        workflow([A, branch("b", "a?true", default="end")], ["start>a", "a>b"]),
        [("/nodes/2/cases/0/to", "graph_cycle")],
    ),
    (
        "back to the start",
        workflow([A], ["start>a", "a>end", "a>start"]),
        [("/edges/2", "graph_invalid_edge"), ("/edges/2", "graph_cycle")],
    ),
    (
        "unreachable",
        workflow([A, B], ["start>a", "a>end", "b>end"]),
        [("/nodes/2", "graph_unreachable")],
    ),
    (
        "reaches no end",
        workflow([A, B], ["start>a", "a>end", "a>b"]),
        [("/nodes/2", "graph_unreachable")],
    ),
    (
        "reaches an end only by failing",
        workflow([call("a")], ["start>a", "a>end!error"]),
        [("/nodes/0", "graph_unreachable"), ("/nodes/1", "graph_unreachable")],
    ),
    (
        "unknown target",
        workflow([A], ["start>a", "a>end", "a>nowhere"]),
        [("/edges/2", "graph_unknown_node")],
    ),
    (
        "unknown source",
        workflow([], ["start>end", "nowhere>end"]),
        [("/edges/1", "graph_unknown_node")],
    ),
    (
        "unknown case and default",
        workflow([branch("b", "x?true", default="y")], ["start>b", "start>end"]),
        [
            ("/nodes/1/cases/0/to", "graph_unknown_node"),
            ("/nodes/1/default", "graph_unknown_node"),
            ("/nodes/1", "graph_unreachable"),
        ],
    ),
    (
        "branch without default",
        workflow([branch("b", "end?true")], ["start>b"]),
        [("/nodes/1", "graph_missing_default")],
    ),
    (
        "conditions without otherwise",
        workflow([A], ["start>a", "a>end?start.x > 1"]),
        [("/nodes/1", "graph_missing_default")],
    ),
    (
        "conditions on an error without otherwise",
        workflow([call("a")], ["start>a", "a>end", "a>end!error?a.error.code == 'x'"]),
        [("/nodes/1", "graph_missing_default")],
    ),
    (
        "edge of a branch",
        workflow([branch("b", "end?true", default="end")], ["start>b", "b>end"]),
        [("/edges/1", "graph_invalid_edge")],
    ),
    (
        "condition on an edge of a branch",
        workflow([branch("b", "end?true", default="end")], ["start>b", "b>end?true"]),
        [("/edges/1", "graph_invalid_edge")],
    ),
    (
        "edge out of an end",
        workflow([A], ["start>a", "a>end", "end>a"]),
        [("/edges/2", "graph_invalid_edge"), ("/edges/2", "graph_cycle")],
    ),
    (
        "edge out of a failure",
        workflow([FAIL], ["start>end", "start>broken", "broken>end"]),
        [("/edges/2", "graph_invalid_edge")],
    ),
    (
        "error of what cannot fail",
        workflow([FAIL], ["start>end", "start>broken!error"]),
        [("/edges/1", "graph_invalid_edge")],
    ),
    (
        "refusal of what is not asked",
        workflow([call("a"), FAIL], ["start>a", "a>end", "a>broken!refused"]),
        [("/edges/2", "graph_invalid_edge")],
    ),
    (
        "the same edge twice",
        workflow([], ["start>end", "start>end"]),
        [("/edges/1", "graph_invalid_edge")],
    ),
    (
        "duplicate node",
        workflow([A, A], ["start>a", "a>end"]),
        [("/nodes/2/id", "duplicate_node")],
    ),
    (
        "called run",
        workflow([transform("run")], ["start>run", "run>end"]),
        [("/nodes/1/id", "reserved_node_id")],
    ),
    (
        "called item",
        workflow([transform("item")], ["start>item", "item>end"]),
        [("/nodes/1/id", "reserved_node_id")],
    ),
    (
        "called as a word of CEL",
        workflow([transform("in")], ["start>in", "in>end"]),
        [("/nodes/1/id", "reserved_node_id")],
    ),
    (
        "called start",
        bare(
            [{**START, "id": "begin"}, transform("start"), END],
            "begin>start",
            "start>end",
        ),
        [("/nodes/1/id", "reserved_node_id")],
    ),
]


@pytest.mark.parametrize(
    ("body", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_graph_that_is_not_well_is_told_with_every_problem(
    body: JsonObject, expected: Told
) -> None:
    assert told(body) == expected


def test_a_cycle_is_told_by_its_path() -> None:
    body = workflow([A, B, C], ["start>a", "a>b", "b>c", "c>a", "c>end"])

    assert "a → b → c → a" in refusal(body).message


def test_a_long_cycle_is_told_in_part() -> None:
    names = [f"n{n}" for n in range(400)]
    ring = [f"{a}>{b}" for a, b in zip(names, [*names[1:], "n0"], strict=True)]
    body = workflow(map(transform, names), ["start>n0", "n0>end", *ring])

    assert refusal(body).message.endswith(
        "n0 → n1 → n2 → n3 → n4 → n5 → n6 → n7 → n8 → … → n0."
    )


def chain(length: int) -> JsonObject:
    names = [f"n{n}" for n in range(length)]
    path = ["start", *names, "end"]
    edges = [f"{a}>{b}" for a, b in pairwise(path)]
    return workflow(map(transform, names), edges)


def fan(width: int) -> JsonObject:
    names = [f"n{n}" for n in range(width)]
    edges = [*(f"start>{n}" for n in names), *(f"{n}>end" for n in names)]
    return workflow(map(transform, names), edges)


def layers(edges: int) -> JsonObject:
    """Just that many edges, between layers of 60 nodes."""
    upper, lower = ([f"{side}{n}" for n in range(60)] for side in "ul")
    frame = [*(f"start>{n}" for n in upper), *(f"{n}>end" for n in lower)]
    mesh = [f"{a}>{b}" for a in upper for b in lower]
    least = [f"{a}>{b}" for a, b in zip(upper, lower, strict=True)]
    more = [said for said in mesh if said not in least]
    said = [*frame, *least, *more][:edges]
    return workflow(map(transform, [*upper, *lower]), said)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (chain(499), ["/nodes"]),
        (chain(10_000), ["/nodes", "/edges"]),
        (layers(2_001), ["/edges"]),
        (fan(101), ["/nodes/0"]),
    ],
    ids=["501 nodes", "chain of 10,000", "2,001 edges", "fan-out 101"],
)
def test_a_graph_beyond_the_limits_is_too_large(
    body: JsonObject, pointers: list[str]
) -> None:
    assert told(body) == [(pointer, "graph_too_large") for pointer in pointers]


@pytest.mark.parametrize(
    "body",
    [chain(498), layers(2_000), fan(100)],
    ids=["500 nodes", "2,000 edges", "fan-out 100"],
)
def test_a_graph_at_the_limits_is_compiled(body: JsonObject) -> None:
    assert len(plan(body).nodes) == len(body["nodes"])


def test_a_size_is_told_before_the_fields_are_looked_at() -> None:
    body = chain(501)
    body["nodes"][3]["output"] = 7

    assert told(body) == [("/nodes", "graph_too_large")]


def test_problems_of_fields_and_of_the_graph_come_in_one_answer() -> None:
    body = workflow(
        [A, {**A, "outptu": {}}, call("b", timeout_s=0)],
        ["start>a", "a>b", "b>a", "b>nowhere", "b>end"],
    )

    assert told(body) == [
        ("/nodes/2/outptu", "unknown_field"),
        ("/nodes/3/timeout_s", "out_of_range"),
        ("/nodes/2/id", "duplicate_node"),
        ("/edges/3", "graph_unknown_node"),
        ("/edges/2", "graph_cycle"),
    ]


def test_what_may_follow_from_an_unreadable_node_is_not_told() -> None:
    body = workflow([A, {"type": "transform"}], ["start>a", "a>lost", "lost>end"])

    assert told(body) == [
        ("/nodes/2/id", "invalid"),
        ("/nodes/2/output", "invalid"),
    ]


@pytest.mark.parametrize("nodes", [None, 7, "x", {}, [1, None, []]])
@pytest.mark.parametrize("edges", [None, 7, [1], [{"from": 1, "to": []}]])
def test_malformed_graphs_are_refused_by_their_fields(nodes: Any, edges: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_workflow({"name": "x", "nodes": nodes, "edges": edges})

    assert caught.value.code in {"type_error", "graph_no_entry"}


def test_pointers_begin_where_the_caller_says() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_workflow(workflow([A, A], [], nmae=1), at="/args/definition")

    pointers = [one["pointer"] for one in caught.value.details["problems"]]
    assert pointers[0] == "/args/definition/nmae"
    assert "/args/definition/nodes/2/id" in pointers
