"""Schemas: what they are refused for, and what they say of values."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import InvalidInput
from plans import schemas
from plans.schemas import compile_schema

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "code": {"pattern": "^[A-Z]$"},
        "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"items": {"type": "string"}, "maxItems": 2, "uniqueItems": True},
        "role": {"enum": ["admin", "user", None]},
        "kind": {"const": "person"},
        "step": {"multipleOf": 5},
        "never": False,
        "a/b~c": {"type": "null"},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.fixture
def visited() -> Iterator[tuple[str, list[int]]]:
    """The URL of a server on this machine, and a list that grows with each visit."""
    visits: list[int] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return

            visits.append(1)
            client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/schema.json", visits
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def refused(schema: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        compile_schema(schema)

    assert caught.value.code == "schema_invalid"
    return caught.value.message


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}

    for _ in range(levels):
        schema = {"not": schema}

    return schema


def doubling(levels: int, keyword: str = "anyOf") -> dict[str, Any]:
    """A small schema that amounts to two to the power of ``levels``."""
    twice = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)
    }
    return {"$defs": {**twice, f"d{levels}": {"const": 1}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"type": 5},
        {"properties": 5},
        {"pattern": "["},
        {"pattern": "((a{1000}){1000}){1000}"},
        {"minimum": "a"},
        {"required": "name"},
        {"$schema": 5},
        {"$schema": "https://schema.example/own"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#anchor"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json"},
        {"properties": {"a": {"$id": "https://a.example/b", "$ref": "#/x"}}},
        {"const": float("nan")},
        {"const": "\ud800"},
    ],
)
def test_a_schema_that_is_not_one_is_refused(schema: dict[str, Any]) -> None:
    assert len(refused(schema)) < 150


def test_the_place_of_the_fault_in_a_schema_is_told() -> None:
    assert "/properties/a/type" in refused({"properties": {"a": {"type": "objekt"}}})


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
def test_no_schema_makes_anything_be_fetched(
    keyword: str, visited: tuple[str, list[int]]
) -> None:
    url, visits = visited
    schema = {keyword: url, "properties": {"a": {"$ref": url + "#/other"}}}
    refused(schema)

    assert visits == []


def test_a_schema_larger_than_the_limit_is_refused() -> None:
    assert str(schemas.SCHEMA_BYTES) in refused({"description": "x" * 262_144})


def test_a_schema_deeper_than_the_limit_is_refused() -> None:
    assert compile_schema(nested(schemas.SCHEMA_DEPTH)).digest
    assert "deeper" in refused(nested(schemas.SCHEMA_DEPTH + 1))
    assert "deeper" in refused(nested(5_000))


@pytest.mark.parametrize(
    "schema",
    [
        doubling(24),
        doubling(60),
        doubling(24, "allOf"),
        {"$id": "https://a.example/x", **doubling(24)},
        {
            "$defs": {
                f"d{n}": {"$anchor": f"d{n}", "oneOf": [{"$ref": f"#d{n + 1}"}] * 2}
                for n in range(24)
            }
            | {"d24": {"$anchor": "d24", "const": 1}},
            "$ref": "#d0",
        },
        {
            "$defs": {
                f"d{n}": {
                    "properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}},
                    "not": {"$ref": f"#/$defs/d{n + 1}"},
                }
                for n in range(24)
            }
            | {"d24": {"const": 1}},
            "$ref": "#/$defs/d0",
        },
        {
            "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(4_000)}
            | {"d4000": {}},
            "$ref": "#/$defs/d0",
        },
    ],
    ids=range(7),
)
def test_a_schema_whose_references_multiply_is_refused(schema: dict[str, Any]) -> None:
    assert "references" in refused(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        {"$defs": {"a/b": {}, "c": {"$ref": "#/$defs/a~1b"}}, "$ref": "#/$defs/c"},
        {"$id": "https://a.example/x", "$defs": {"a": {}}, "$ref": "x#/$defs/a"},
        {"allOf": [{}, {"type": "object"}], "items": {"$ref": "#/allOf/1"}},
        {"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}},
        {"const": {"$id": "x"}, "examples": [{"$ref": "http://a.example"}]},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {}},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        doubling(8),
    ],
)
def test_a_schema_may_refer_to_itself_and_to_its_own_parts(
    schema: dict[str, Any],
) -> None:
    assert compile_schema(schema).problems({}) is not None


def test_a_recursive_schema_checks_a_deep_value() -> None:
    schema = compile_schema(
        {"type": "object", "additionalProperties": {"$ref": "#"}, "maxProperties": 1}
    )
    value: dict[str, Any] = {}

    for _ in range(60):
        value = {"a": value}

    assert schema.problems(value) == []


@pytest.mark.parametrize(
    ("change", "pointer", "code", "said"),
    [
        ({"name": 5}, "/name", "type_error", "must be of type string"),
        ({"name": ""}, "/name", "invalid", "fewer characters than 1"),
        ({"name": "Abcdef"}, "/name", "string_too_long", "more characters than 5"),
        ({"code": "a"}, "/code", "invalid", 'match "^[A-Z]$"'),
        ({"age": True}, "/age", "type_error", "of type integer"),
        ({"age": -1}, "/age", "out_of_range", "at least 0"),
        ({"age": 150}, "/age", "out_of_range", "below 150"),
        ({"tags": ["a", 5]}, "/tags/1", "type_error", "of type string"),
        ({"tags": ["a", "b", "c"]}, "/tags", "too_many_items", "more items than 2"),
        ({"tags": ["a", "a"]}, "/tags", "invalid", "must differ"),
        ({"role": "root"}, "/role", "invalid", 'one of ["admin", "user", null]'),
        ({"kind": "pet"}, "/kind", "invalid", 'must be "person"'),
        ({"step": 7}, "/step", "out_of_range", "multiple of 5"),
        ({"never": 1}, "/never", "invalid", "Nothing may stand here"),
        ({"a/b~c": 1}, "/a~1b~0c", "type_error", "of type null"),
        ({"other": 1}, "/other", "unknown_field", '"other" is not known'),
    ],
)
def test_what_is_wrong_with_a_value_is_told_with_its_place(
    change: dict[str, Any], pointer: str, code: str, said: str
) -> None:
    (problem,) = compile_schema(PERSON).problems({"name": "Ada", **change})

    assert (problem.pointer, problem.code) == (pointer, code)
    assert said in problem.message


def test_a_missing_field_is_told_by_name() -> None:
    (problem,) = compile_schema(PERSON).problems({})

    assert (problem.pointer, problem.code) == ("/", "invalid")
    assert problem.message == 'The field "name" is missing.'


def test_all_problems_are_told_at_once_but_never_more_than_twenty() -> None:
    schema = compile_schema({"items": {"type": "string"}})

    assert len(schema.problems([1] * 7)) == 7
    assert len(schema.problems([1] * 70)) == 20


def test_each_unknown_field_is_told_but_never_more_than_twenty() -> None:
    schema = compile_schema({"properties": {"a": {}}, "additionalProperties": False})
    problems = schema.problems({f"x{n}": n for n in range(70)})

    assert [p.pointer for p in problems] == [f"/x{n}" for n in range(20)]


def test_a_huge_value_full_of_faults_is_judged_at_once() -> None:
    schema = compile_schema({"items": {"type": "string"}})
    began = time.perf_counter()
    problems = schema.problems(list(range(300_000)))

    assert time.perf_counter() - began < 0.5
    assert [problem.pointer for problem in problems] == ["/0"]


def test_a_pattern_that_backtracks_is_judged_at_once() -> None:
    schema = compile_schema({"pattern": "^(a+)+(?!b)$"})
    began = time.perf_counter()

    assert schema.problems("a" * 5_000 + "!")
    assert time.perf_counter() - began < 0.5


def test_no_message_shows_more_than_64_characters_of_the_value() -> None:
    secret = "s3cr3t" * 50
    values: list[Any] = [
        {"name": secret, "role": secret, "kind": secret},
        {secret: 1},
        {"name": "Ada", "tags": [secret, secret, secret]},
        secret,
    ]
    told = [p.message for v in values for p in compile_schema(PERSON).problems(v)]

    assert told
    assert all(message.count("s3cr3t") * 6 <= 64 for message in told)


@pytest.mark.parametrize("value", [{1: 2}, "\ud800", b"x", object()])
def test_a_value_that_is_not_json_is_a_problem_and_no_crash(value: Any) -> None:
    (problem,) = compile_schema({"type": "object"}).problems(value)

    assert problem.code == "type_error"


def test_an_equal_schema_is_compiled_once() -> None:
    schema = compile_schema({"type": "object", "minProperties": 1})

    assert schema is compile_schema({"minProperties": 1, "type": "object"})
    assert schema.digest.startswith("sha256:")


def test_a_schema_is_not_changed_by_whoever_gave_it() -> None:
    source: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "null"}}}
    schema = compile_schema(source)
    source["properties"].clear()

    assert schema.source["properties"] == {"x": {"type": "null"}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    )
)
def test_a_schema_without_demands_takes_any_value(value: Any) -> None:
    assert compile_schema({}).problems(value) == []
