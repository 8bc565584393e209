"""Compiling: references, expressions, schemas, and the plan that comes of it."""

from __future__ import annotations

import pytest

from contracts import InvalidInput, JsonObject, digest
from contracts.definitions import WORKFLOW_NODE_TYPES
from plans import (
    KINDS,
    check_stage,
    check_tool,
    compile_workflow,
    read_definition,
    read_workflow,
    references,
)
from tests.support.workflows import (
    END,
    START,
    branch,
    call,
    catalog,
    edge,
    plan,
    refusal,
    told,
    tool,
    transform,
    workflow,
)


def one(node: JsonObject) -> JsonObject:
    """A workflow of start, this node and end."""
    return workflow([node], [f"start>{node['id']}", f"{node['id']}>end"])


ORDER = tool("place-order", effect="non_idempotent", risk="medium")
LOOKUP = tool("lookup", effect="idempotent")


def test_every_missing_reference_is_told_at_once() -> None:
    body = workflow(
        [call("a", "lookpu"), call("b", "other")],
        ["start>a", "a>b", "b>end"],
        on_failure={"workflow": "tell-ops"},
    )
    error = refusal(body, catalog(LOOKUP))

    assert error.code == "unknown_tool"
    assert error.details["missing"] == [
        "tool:lookpu",
        "tool:other",
        "workflow:tell-ops",
    ]
    assert error.details["missing_tool_id"] == "lookpu"
    assert error.message.endswith("Did you mean lookup?")
    assert told(body, catalog(LOOKUP)) == [
        ("/nodes/1/tool", "unknown_tool"),
        ("/nodes/2/tool", "unknown_tool"),
        ("/on_failure/workflow", "missing_references"),
    ]


def test_near_matches_are_found_among_all_that_is_known() -> None:
    made = read_workflow(one(call("a", "lookpu")))
    with pytest.raises(InvalidInput, match=r"Did you mean lookup\?"):
        compile_workflow(made, "sha256:0", {}, known=["tool:lookup", "stage:lookpu"])


def test_references_name_every_kind_of_definition() -> None:
    nodes: list[JsonObject] = [
        call("a", "echo"),
        {"id": "b", "type": "model", "stage": "s"},
        {"id": "c", "type": "retrieve", "knowledge": "k"},
        {"id": "d", "type": "call_workflow", "workflow": "w"},
        {"id": "e", "type": "use", "use": "n"},
        {
            "id": "f",
            "type": "classify",
            "stage": "t",
            "routes": [{"name": "x", "to": "a"}],
        },
    ]
    made = read_workflow(workflow(nodes, [], on_failure={"workflow": "ops"}))

    assert references(made) == {
        "tool:echo",
        "stage:s",
        "stage:t",
        "knowledge:k",
        "workflow:w",
        "workflow:ops",
        "node:n",
    }


def test_a_workflow_does_not_follow_its_own_failure() -> None:
    body = workflow([], ["start>end"], on_failure={"workflow": "greet"})
    made = read_workflow(body)
    entries = {**catalog(), "workflow:greet": catalog()["tool:echo"]}
    with pytest.raises(InvalidInput) as caught:
        compile_workflow(made, "sha256:0", entries)

    assert caught.value.details["problems"][0]["pointer"] == "/on_failure/workflow"


def test_what_this_release_does_not_execute_is_refused_by_type() -> None:
    later: dict[str, JsonObject] = {
        "for_each": {"items": "start.x", "body": {}},
        "repeat_until": {"until": "true", "body": {}},
        "call_workflow": {"workflow": "w"},
        "use": {"use": "n"},
    }
    assert later.keys() == WORKFLOW_NODE_TYPES - KINDS.keys()

    for type_, fields in later.items():
        error = refusal(one({"id": "a", "type": type_, **fields}))
        assert error.code == "node_type_not_allowed"
        assert error.details["problems"][0]["pointer"] == "/nodes/1/type"
        assert "not available in this release" in error.message


EXPRESSIONS: list[tuple[str, str, str]] = [
    ("syntax", "start.x +", "cel_syntax"),
    ("unknown name", "nobody.x", "cel_unknown_name"),
    ("unknown function", "frobnicate(start)", "cel_unknown_name"),
    ("types", '"a" + 1', "cel_type"),
    ("itself", "a.ok", "unreachable_reference"),
    ("a later node", "later.ok", "unreachable_reference"),
    ("a node beside", "beside.ok", "unreachable_reference"),
    ("input", "input.x", "cel_unknown_name"),
    ("item", "item.x", "cel_unknown_name"),
    ("too long", "1" + " + 1" * 3_000, "cel_too_complex"),
]


@pytest.mark.parametrize(
    ("source", "code"),
    [case[1:] for case in EXPRESSIONS],
    ids=[case[0] for case in EXPRESSIONS],
)
def test_a_template_is_checked_where_it_stands(source: str, code: str) -> None:
    a = transform("a", fine=1, list=["x", f"${{{source}}}"])
    body = workflow(
        [a, transform("beside"), transform("later")],
        ["start>a", "start>beside", "a>later", "later>end", "beside>end"],
    )

    assert told(body) == [("/nodes/1/output/list/1", code)]


def test_conditions_are_checked_where_they_stand() -> None:
    body = workflow(
        [transform("a"), branch("b", "end?b.x", "end?1 + 1", default="end")],
        ["start>a?a.ok", "start>end?", "a>b?a.ok && later", "a>end?"],
    )

    assert told(body) == [
        ("/edges/0/when", "unreachable_reference"),
        ("/edges/2/when", "cel_unknown_name"),
        ("/nodes/2/cases/0/when", "unreachable_reference"),
        ("/nodes/2/cases/1/when", "cel_type"),
    ]


def test_the_names_that_are_known_are_told() -> None:
    body = workflow(
        [transform("a"), transform("b", x="${nobody}")], ["start>a", "a>b", "b>end"]
    )

    assert refusal(body).message.endswith("Known here: a, run, start.")


def test_an_edge_sees_the_output_of_its_source() -> None:
    body = workflow([transform("a")], ["start>a", "a>end?a.ok", "a>end?"])

    assert plan(body).nodes["a"].outgoing[0].when is not None


def test_start_means_the_input_whatever_the_start_node_is_called() -> None:
    begin = {**START, "id": "begin"}
    body: JsonObject = {
        "name": "x",
        "nodes": [begin, transform("a", x="${start.x + begin.x + run.id}"), END],
        "edges": [edge("begin>a"), edge("a>end")],
    }
    made = plan(body)

    assert made.start == "begin"
    assert list(made.nodes) == ["begin", "a", "end"]


def test_every_place_of_every_node_is_compiled() -> None:
    bad = "${nobody}"
    nodes: list[JsonObject] = [
        call("a", input={"x": bad}),
        {"id": "b", "type": "wait", "seconds": "nobody"},
        {"id": "c", "type": "wait", "until": "nobody"},
        {"id": "d", "type": "approval", "message": bad, "show": {"y/z": bad}},
        {"id": "f", "type": "fail", "message": bad},
    ]
    body = workflow(
        nodes,
        ["start>a", "a>b", "b>c", "c>d", "d>end", "d>f!refused"],
    )
    body["nodes"][-1] = {**END, "output": {"z": bad}}

    assert told(body) == [
        ("/nodes/1/input/x", "cel_unknown_name"),
        ("/nodes/2/seconds", "cel_unknown_name"),
        ("/nodes/3/until", "cel_unknown_name"),
        ("/nodes/4/message", "cel_unknown_name"),
        ("/nodes/4/show/y~1z", "cel_unknown_name"),
        ("/nodes/5/message", "cel_unknown_name"),
        ("/nodes/6/output/z", "cel_unknown_name"),
    ]


def test_every_schema_is_checked_and_nothing_is_fetched() -> None:
    remote = {"$ref": "https://example.invalid/schema.json"}
    bad = {"type": "nothing"}
    body = workflow(
        [{"id": "ask", "type": "approval", "form_schema": bad}],
        ["start>ask", "ask>end"],
    )
    body["nodes"][0] = {**START, "input_schema": remote}
    body["nodes"][2] = {**END, "output_schema": bad}

    assert told(body) == [
        ("/nodes/0/input_schema", "schema_invalid"),
        ("/nodes/1/form_schema", "schema_invalid"),
        ("/nodes/2/output_schema", "schema_invalid"),
    ]


def test_a_plan_holds_its_nodes_in_order_with_their_edges() -> None:
    body = workflow(
        [
            branch("pick", "a?start.x > 1", "b?start.x > 0", default="end"),
            transform("b"),
            transform("a"),
        ],
        ["start>pick", "b>end", "a>b"],
    )
    made = plan(body)

    assert list(made.nodes) == ["start", "pick", "a", "b", "end"]
    assert [node.position for node in made.nodes.values()] == [0, 1, 2, 3, 4]
    out = made.nodes["pick"].outgoing
    assert [edge.target for edge in out] == ["a", "b", "end"]
    assert [edge.otherwise for edge in out] == [False, False, True]
    assert {edge.source for edge in made.nodes["b"].incoming} == {"pick", "a"}


def test_a_plan_pins_the_workflow_and_all_it_uses() -> None:
    entries = catalog(LOOKUP, ORDER)
    body = workflow(
        [call("a", "lookup"), call("b", "lookup")], ["start>a", "a>b", "b>end"]
    )
    made = read_workflow(body)
    own = digest(made.plain())
    compiled = compile_workflow(made, own, entries)

    assert compiled.pins == {
        "workflow:greet": own,
        "tool:lookup": entries["tool:lookup"].digest,
    }
    assert compiled.digest == own


def test_facts_tell_rules_and_approvers_what_would_be_done() -> None:
    body = workflow(
        [
            call("look", "lookup"),
            {"id": "ask", "type": "approval"},
            call("buy", "place-order"),
            call("say", "echo", approval="required"),
        ],
        ["start>look", "look>ask", "ask>buy", "buy>say", "say>end"],
    )
    made = plan(body, catalog(LOOKUP, ORDER))

    assert made.risk == "low"
    assert made.facts == {
        "risk": "low",
        "nodes": 6,
        "effects": [
            {
                "node": "look",
                "tool": "lookup",
                "effect": "idempotent",
                "risk": "low",
                "own_decision": False,
            },
            {
                "node": "buy",
                "tool": "place-order",
                "effect": "non_idempotent",
                "risk": "medium",
                "own_decision": True,
            },
            {
                "node": "say",
                "tool": "echo",
                "effect": "none",
                "risk": "low",
                "own_decision": True,
            },
        ],
        "tools": ["echo", "lookup", "place-order"],
        "models": [],
        "approvals": ["ask", "say"],
        "cost_estimate": {"calls": 3, "tokens": 0, "cost": 0},
    }


@pytest.mark.parametrize("where", ["node", "tool"])
def test_a_retry_that_cannot_repeat_is_a_warning(where: str) -> None:
    retry = {"max_attempts": 3}
    once = tool(
        "send",
        effect="non_idempotent",
        **({"retry": retry} if where == "tool" else {}),
    )
    node = call("a", "send", **({"retry": retry} if where == "node" else {}))
    made = plan(one(node), catalog(once))

    assert [(w.pointer, w.code) for w in made.warnings] == [
        ("/nodes/1", "retry_limited")
    ]


def test_a_retry_of_what_may_be_repeated_is_no_warning() -> None:
    node = call("a", "lookup", retry={"max_attempts": 3})

    assert plan(one(node), catalog(LOOKUP)).warnings == ()


def test_equal_arguments_give_an_equal_plan() -> None:
    body = one(call("a", "lookup", input={"x": "${start.x}"}))
    first, second = (plan(body, catalog(LOOKUP)) for _ in range(2))

    assert (first.pins, first.facts, list(first.nodes)) == (
        second.pins,
        second.facts,
        list(second.nodes),
    )


def test_nothing_of_ten_thousand_problems_is_told_but_a_hundred() -> None:
    output = {f"k{n}": "${nobody}" for n in range(10_000)}
    error = refusal(one(transform("a", **output)))

    assert len(error.details["problems"]) <= 100


HTTP: JsonObject = {
    "name": "tickets",
    "kind": "http",
    "effect": "idempotent",
    "http": {
        "url": "https://api.example/${input.id}",
        "headers": {"X-Id": "${input.id}"},
        "idempotency_header": "Idempotency-Key",
    },
}


def problems_of(kind: str, body: JsonObject) -> list[tuple[str, str]]:
    definition = read_definition(kind, body)  # type: ignore[arg-type]
    check = {"tool": check_tool, "stage": check_stage}[kind]
    with pytest.raises(InvalidInput) as caught:
        check(definition, at="/x")  # type: ignore[operator]

    return [(p["pointer"], p["code"]) for p in caught.value.details["problems"]]


def test_a_tool_that_is_well_passes() -> None:
    check_tool(read_definition("tool", HTTP))  # type: ignore[arg-type]


def test_an_http_tool_sees_its_input_and_nothing_else() -> None:
    spec = {
        **HTTP["http"],
        "url": "https://api.example/${start.id}",
        "headers": {"X-Id": "${run.id}"},
        "query": {"q": "${"},
        "body": {"a": ["${input.x +}"]},
    }

    assert problems_of("tool", {**HTTP, "http": spec}) == [
        ("/x/http/url", "cel_unknown_name"),
        ("/x/http/headers/X-Id", "cel_unknown_name"),
        ("/x/http/query/q", "template_syntax"),
        ("/x/http/body/a/0", "cel_syntax"),
    ]


def test_idempotent_by_key_needs_a_place_for_the_key() -> None:
    spec = {**HTTP["http"], "idempotency_header": None}

    assert problems_of("tool", {**HTTP, "http": spec}) == [
        ("/x/effect", "idempotency_not_supported")
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_methods_that_are_idempotent_need_no_key(method: str) -> None:
    spec = {**HTTP["http"], "idempotency_header": None, "method": method}

    check_tool(read_definition("tool", {**HTTP, "http": spec}))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["tool", "stage"])
def test_the_schemas_of_tools_and_stages_are_checked(kind: str) -> None:
    rest = HTTP if kind == "tool" else {"name": "s", "instructions": "x"}
    body = {
        **rest,
        "input_schema": {"type": 7},
        "output_schema": {"$ref": "file:///etc/passwd"},
    }

    assert problems_of(kind, body) == [
        ("/x/input_schema", "schema_invalid"),
        ("/x/output_schema", "schema_invalid"),
    ]


def test_an_older_definition_compiles_as_the_present_one() -> None:
    node = {"id": "a", "type": "tool", "toolId": "echo"}

    assert plan(one(node)).nodes["a"].tool == tool()
