"""Groups J, G13 and K: how a model is read, and what is told when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from contracts import InvalidInput, JsonObject, read
from contracts.action_args import CancelRun, RunWorkflow
from contracts.definitions import DEFINITIONS, Tool, Workflow
from contracts.definitions.older import modern
from contracts.telling import Source

Told = list[tuple[str, str]]


def problems(
    model: type[BaseModel], value: JsonValue | bytes, source: Source = "json"
) -> Told:
    with pytest.raises(InvalidInput) as caught:
        read(model, value, source=source)

    found = caught.value.details["problems"]
    assert caught.value.code == found[0]["code"]
    assert all(one["message"].endswith((".", "?")) for one in found)
    return [(one["pointer"], one["code"]) for one in found]


def workflow(*nodes: JsonValue, **fields: JsonValue) -> JsonObject:
    return {"name": "greet", "nodes": list(nodes), **fields}


def tool(**fields: JsonValue) -> JsonObject:
    return {"id": "call", "type": "tool", "tool": "echo", **fields}


START: JsonObject = {"id": "start", "type": "workflow_start"}

ONE_FIELD: list[tuple[str, JsonObject, str, str]] = [
    ("zero timeout", {"timeout_s": 0}, "timeout_s", "out_of_range"),
    ("negative timeout", {"timeout_s": -1}, "timeout_s", "out_of_range"),
    ("25 hours", {"timeout_s": 90_000}, "timeout_s", "out_of_range"),
    ("duration in text", {"timeout_s": "-5s"}, "timeout_s", "out_of_range"),
    ("ISO duration", {"timeout_s": "P1Y"}, "timeout_s", "out_of_range"),
    ("huge duration", {"timeout_s": "1e9 h"}, "timeout_s", "out_of_range"),
    ("number in text", {"timeout_s": "1"}, "timeout_s", "type_error"),
    ("true for a number", {"timeout_s": True}, "timeout_s", "type_error"),
    (
        "retries",
        {"retry": {"max_attempts": 10**6}},
        "retry/max_attempts",
        "out_of_range",
    ),
    (
        "no retries",
        {"retry": {"max_attempts": 0}},
        "retry/max_attempts",
        "out_of_range",
    ),
    ("backoff", {"retry": {"backoff_s": 0}}, "retry/backoff_s", "out_of_range"),
    (
        "float for int",
        {"retry": {"max_attempts": 1.0}},
        "retry/max_attempts",
        "type_error",
    ),
    (
        "text for int",
        {"retry": {"max_attempts": "1"}},
        "retry/max_attempts",
        "type_error",
    ),
    (
        "true for int",
        {"retry": {"max_attempts": True}},
        "retry/max_attempts",
        "type_error",
    ),
    (
        "null retry field",
        {"retry": {"backoff_s": None}},
        "retry/backoff_s",
        "type_error",
    ),
    ("list for object", {"input": []}, "input", "type_error"),
    ("unknown policy", {"on_error": "ignore"}, "on_error", "invalid"),
    ("union of text and object", {"approval": "maybe"}, "approval", "invalid"),
    ("union member", {"approval": {"quorum": 0}}, "approval/quorum", "out_of_range"),
    ("empty list", {"approval": {"approvers": []}}, "approval/approvers", "invalid"),
    (
        "item of a list",
        {"approval": {"approvers": [1]}},
        "approval/approvers/0",
        "type_error",
    ),
    ("upper case id", {"id": "Call"}, "id", "invalid"),
    ("NUL in an id", {"id": "a\x00"}, "id", "forbidden_character"),
    ("bidi in an id", {"id": "a\u202e"}, "id", "forbidden_character"),
    ("long id", {"id": "a" * 65}, "id", "string_too_long"),
    ("long label", {"label": "x" * 201}, "label", "string_too_long"),
    ("NUL in a name", {"tool": "a\x00b"}, "tool", "forbidden_character"),
    ("line break in a name", {"tool": "a\u2028b"}, "tool", "forbidden_character"),
    ("zero width in a name", {"tool": "a\u200db"}, "tool", "forbidden_character"),
    ("emoji in a name", {"tool": "a😀"}, "tool", "forbidden_character"),
    ("only blanks", {"tool": "  "}, "tool", "invalid"),
    ("blank at the end", {"tool": "a "}, "tool", "invalid"),
    ("way up in a name", {"tool": "a/../b"}, "tool", "invalid"),
    ("empty name", {"tool": ""}, "tool", "invalid"),
    ("operator for a name", {"tool": {"$ne": None}}, "tool", "type_error"),
]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [case[1:] for case in ONE_FIELD],
    ids=[case[0] for case in ONE_FIELD],
)
def test_a_wrong_field_of_a_node_is_told_once_with_its_pointer(
    fields: JsonObject, field: str, code: str
) -> None:
    found = problems(Workflow, workflow(START, tool(**fields)))

    assert found == [(f"/nodes/1/{field}", code)]


def test_every_problem_is_told_at_once() -> None:
    value = workflow(
        tool(timeout_s=0, tol="x"),
        {"id": "b", "type": "branch", "cases": [{"wen": "x", "to": "c"}]},
        {"id": "c"},
        {"id": "d", "type": "tol"},
        7,
        edges=[{"from": "a"}, {"from": 1, "to": "b", "onn": "done"}],
        namee="x",
    )

    assert problems(Workflow, value) == [
        ("/nodes/0/timeout_s", "out_of_range"),
        ("/nodes/0/tol", "unknown_field"),
        ("/nodes/1/cases/0/when", "invalid"),
        ("/nodes/1/cases/0/wen", "unknown_field"),
        ("/nodes/2/type", "invalid"),
        ("/nodes/3/type", "node_type_not_allowed"),
        ("/nodes/4", "type_error"),
        ("/edges/0/to", "invalid"),
        ("/edges/1/from", "type_error"),
        ("/edges/1/onn", "unknown_field"),
        ("/namee", "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (workflow(tool(retri={})), "Did you mean retry?"),
        (workflow(tool(aproval="required")), "Did you mean approval?"),
        (workflow(tool(retry={"max_atempts": 1})), "Did you mean max_attempts?"),
        (workflow(tool(approval={"qorum": 1})), "Did you mean quorum?"),
        (workflow(START, edges=[{"form": "a", "from": "a", "to": "b"}]), "mean from?"),
        (workflow(tool(casez=[])), "is not known here."),
        (workflow(triggers={}), "is not known here."),
        (workflow({"id": "a", "type": "branhc"}), "Did you mean branch?"),
    ],
)
def test_the_nearest_name_is_one_of_that_very_model(
    value: JsonObject, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(Workflow, value)

    assert caught.value.message.endswith(hint)


def test_an_unknown_node_type_is_answered_with_all_there_are() -> None:
    with pytest.raises(InvalidInput, match="workflow_start, workflow_end, model, tool"):
        read(Workflow, workflow({"id": "a", "type": "route"}))


def test_no_more_than_twenty_problems_are_told_and_all_are_counted() -> None:
    nodes = [tool(timeout_s=0) for _ in range(30)]
    with pytest.raises(InvalidInput) as caught:
        read(Workflow, workflow(*nodes))

    assert len(caught.value.details["problems"]) == 20
    assert caught.value.details["total"] == 30


@pytest.mark.parametrize("value", [b"null", b"[]", b'"x"', b"1", b"true"])
def test_what_is_no_object_is_a_type_error_of_the_whole(value: bytes) -> None:
    assert problems(Workflow, value) == [("/", "type_error")]


def test_bytes_are_read_as_strictly_as_bodies() -> None:
    assert problems(CancelRun, b'{"run_id": "a", "run_id": "b"}') == [
        ("/", "json_duplicate_key")
    ]


def test_an_operator_in_place_of_an_id_is_a_type_error() -> None:
    assert problems(CancelRun, {"run_id": {"$ne": None}}) == [("/run_id", "type_error")]


@pytest.mark.parametrize("text", ["../x", "a/b", "", "run_" + "x" * 10_240, "RUN_1"])
def test_what_has_not_the_form_of_an_id_is_an_invalid_id(text: str) -> None:
    assert problems(CancelRun, {"run_id": text}) == [("/run_id", "invalid_id")]


def test_pointers_begin_where_the_caller_says() -> None:
    with pytest.raises(InvalidInput) as caught:
        read(Workflow, {"nodes": 1}, at="/args/definition")

    pointers = [one["pointer"] for one in caught.value.details["problems"]]
    assert pointers == ["/args/definition/name", "/args/definition/nodes"]


def test_pointers_escape_and_cut_what_a_sender_chose() -> None:
    found = problems(Workflow, workflow(START, **{"a/b~c" + "x" * 100: 1}))

    assert found == [("/a~1b~0c" + "x" * 59, "unknown_field")]


def test_no_more_than_64_characters_of_the_input_are_told() -> None:
    secret = "s" * 1_000
    value = workflow(tool(on_error=secret), {"id": "a", "type": secret}, **{secret: 1})
    with pytest.raises(InvalidInput) as caught:
        read(Workflow, value)

    assert "s" * 65 not in caught.value.message + str(caught.value.details)


def test_identifiers_are_brought_to_nfc() -> None:
    decomposed, composed = "Cafe\u0301", "Caf\u00e9"

    assert read(Workflow, {"name": decomposed, "nodes": []}).name == composed
    assert read(RunWorkflow, {"workflow": decomposed}).workflow == composed


@pytest.mark.parametrize(
    "name", ["Заказ", "שלום", "हिन्दी", "日本語", "mcp:server/tool", "_x"]
)
def test_names_of_every_script_are_taken(name: str) -> None:
    assert read(Workflow, {"name": name, "nodes": []}).name == name


@pytest.mark.parametrize("value", [12, 1.5, 10**15])
def test_a_number_where_yaml_should_hold_text_asks_for_quotes(value: float) -> None:
    assert problems(Workflow, {"name": value, "nodes": []}, "yaml") == [
        ("/name", "ambiguous_number")
    ]
    assert problems(Workflow, {"name": value, "nodes": []}) == [("/name", "type_error")]


def test_a_boolean_where_yaml_should_hold_text_asks_for_quotes() -> None:
    with pytest.raises(InvalidInput, match="quote it") as caught:
        read(Workflow, {"name": True, "nodes": []}, source="yaml")

    assert caught.value.code == "type_error"


def test_a_definition_of_a_newer_schema_says_so_first() -> None:
    value = workflow({"id": "x", "type": "teleport"}, schema_version=2)

    assert problems(Workflow, value)[0] == ("/schema_version", "definition_too_new")


def http(url: str) -> JsonObject:
    return {"name": "t", "kind": "http", "effect": "none", "http": {"url": url}}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("javascript:alert(1)", "invalid_url"),
        ("", "invalid_url"),
        ("http:///x", "invalid_url"),
        ("https://", "invalid_url"),
        ("//host/x", "invalid_url"),
        ("http://user:word@host/", "invalid_url"),
        ("http://good@evil/", "invalid_url"),
        ("http://evil\\@good/", "invalid_url"),
        ("http://e\tvil/", "invalid_url"),
        ("http://host/a b", "invalid_url"),
        ("http://host/\r\nx: y", "invalid_url"),
        ("http://host:port/", "invalid_url"),
        ("http://127.0.0.1/".replace("1", "\uff11"), "invalid_url"),
        ("http://host/" + "x" * 10_240, "invalid_url"),
        ("https://${input.host}/", "invalid_url"),
        ("https://api.example${input.path}", "invalid_url"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("file:/etc/passwd", "scheme_not_allowed"),
        ("gopher://host/", "scheme_not_allowed"),
        ("ftp://host/", "scheme_not_allowed"),
        ("unix:/run/x.sock", "scheme_not_allowed"),
    ],
)
def test_a_url_that_could_be_misread_is_refused(url: str, code: str) -> None:
    assert problems(Tool, http(url)) == [("/http/url", code)]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example/tickets",
        "HTTP://127.0.0.1:8080/x?y=${input.z}",
        "http://[::1]:80/${input.a ? 'x y' : input.b}#f",
    ],
)
def test_a_plain_url_with_a_fixed_host_is_taken(url: str) -> None:
    made = read(Tool, http(url))

    assert made.http is not None
    assert made.http.url == url


@pytest.mark.parametrize("slug", ["api", "admin", "ex", ".well-known", "con", "lpt1"])
def test_reserved_slugs_are_told_from_malformed_ones(slug: str) -> None:
    start = {**START, "triggers": {"http": {"slug": slug}}}
    malformed = {**START, "triggers": {"http": {"slug": "No Slug"}}}

    at = "/nodes/0/triggers/http/slug"
    assert problems(Workflow, workflow(start)) == [(at, "slug_reserved")]
    assert problems(Workflow, workflow(malformed)) == [(at, "invalid")]


@pytest.mark.parametrize("older", ["toolId", "tool_id"])
def test_an_older_tool_node_means_the_same(older: str) -> None:
    node: JsonObject = {"id": "call", "type": "tool", older: "echo"}

    assert read(Workflow, modern(workflow(node))) == read(Workflow, workflow(tool()))


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_what_is_no_definition_is_left_to_the_reader(value: Any) -> None:
    assert modern(value) == value
    assert modern({"nodes": value}) == {"nodes": value}


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**6)
    | st.sampled_from(["tool", "wait", "a", "A", "", "${x}", "\x00", "required"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id type tool nodes edges from to when input approval x".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.sampled_from(list(DEFINITIONS.values())), _JSON, _JSON)
def test_whatever_is_sent_is_read_or_refused_in_place(
    model: type[BaseModel], nodes: JsonValue, edges: JsonValue
) -> None:
    value: JsonObject = {"name": "x", "nodes": nodes, "edges": edges}
    try:
        read(model, value)
    except InvalidInput as error:
        for one in error.details["problems"]:
            parent = one["pointer"].rpartition("/")[0]
            assert _stands(parent, value), one


def _stands(pointer: str, value: Any) -> bool:
    """Whether something stands at this place of the value."""
    for part in pointer.split("/")[1:]:
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return False

    return True
