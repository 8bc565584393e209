"""Group Y: what YAML bodies may be."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from contracts import InvalidInput, JsonObject, digest, read
from contracts.definitions import Workflow
from plans.yaml_text import read_yaml

REFUSED = [
    ("yaml_invalid", "a: [1", "1:6"),
    ("yaml_invalid", "a:\n\t- b", "2:1"),
    ("yaml_invalid", "a: b: c", "1:5"),
    ("yaml_invalid", "ok: 1\n@b: 2", "2:1"),
    ("yaml_invalid", "a: 'open\n", "2:1"),
    ("yaml_invalid", 'a: "\\x"', "1:7"),
    ("yaml_invalid", "a: 1\n---\nb: 2\n", "2:1"),
    ("yaml_invalid", "a: !!str 1", "1:4"),
    ("yaml_invalid", "a: !!python/object:os.system x", "1:4"),
    ("yaml_invalid", "%YAML 1.1\n---\na: 1", "1:1"),
    ("yaml_invalid", "%OTHER x\n---\na: 1", "1:1"),
    ("yaml_invalid", "%TAG ! x\n---\na: 1", "1:1"),
    ("yaml_invalid", 'a: "\\ud800"', "1:4"),
    ("yaml_invalid", 'a: "\\U00110000"', "/"),
    ("yaml_invalid", "a: \x07", "/"),
    ("yaml_invalid", "\ufeffa: 1", "1:1"),
    ("yaml_alias_not_allowed", "a: &x 1", "1:4"),
    ("yaml_alias_not_allowed", "a: *x", "1:4"),
    ("yaml_alias_not_allowed", "a: &a [*a]", "1:4"),
    ("yaml_alias_not_allowed", "&x a: 1", "1:1"),
    ("yaml_merge_not_allowed", "<<: {a: 1}", "1:1"),
    ("yaml_merge_not_allowed", "a: {b: 1, <<: {}}", "1:11"),
    ("yaml_duplicate_key", "a: 1\nb: 2\na: 3", "3:1"),
    ("yaml_duplicate_key", "a:\n  - b: 1\n    'b': 2", "3:5"),
    ("yaml_key_not_text", "1: a", "1:1"),
    ("yaml_key_not_text", "true: a", "1:1"),
    ("yaml_key_not_text", "null: a", "1:1"),
    ("yaml_key_not_text", "? \n: a", "1:2"),
    ("yaml_key_not_text", "[a]: b", "1:1"),
    ("yaml_key_not_text", "? {a: 1}\n: b", "1:3"),
    ("number_invalid", "a: .nan", "1:4"),
    ("number_invalid", "a: -.INF", "1:4"),
    ("number_out_of_range", "a: 9007199254740992", "1:4"),
    ("number_out_of_range", "a: -9007199254740992", "1:4"),
    ("number_out_of_range", "a: 0x20000000000000", "1:4"),
    ("number_out_of_range", "a: " + "9" * 5_000, "1:4"),
    ("number_out_of_range", "a: 1e999", "1:4"),
    ("workflow_not_an_object", "", "1:1"),
    ("workflow_not_an_object", "# nothing\n", "1:1"),
    ("workflow_not_an_object", "- a", "1:1"),
    ("workflow_not_an_object", "text", "1:1"),
    ("workflow_not_an_object", "null", "1:1"),
    ("yaml_too_large", "a:\n" + "- 1\n" * 20_000, "19999:3"),
    ("yaml_too_large", "a: " + "x" * 262_145, "1:4"),
    ("yaml_too_large", "a: '" + "x" * 262_145 + "'", "1:4"),
    ("yaml_too_large", "x" * (2**20 + 1), "1:1"),
    ("yaml_too_large", "[" * 100_000, "1:65"),
    ("yaml_too_large", "- " * 100_000, "1:129"),
]


@pytest.mark.parametrize(
    ("code", "text", "place"), REFUSED, ids=[repr(case[1])[:30] for case in REFUSED]
)
def test_yaml_beyond_plain_json_is_refused_in_its_place(
    code: str, text: str, place: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text.encode())

    problem = caught.value.details["problems"][0]
    assert (problem["code"], problem["pointer"]) == (code, place)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    for data in (b"a: \xff", "a: 1".encode("utf-16")):
        with pytest.raises(InvalidInput) as caught:
            read_yaml(data)

        assert caught.value.code == "yaml_invalid"


def test_a_repeated_key_is_told_with_both_lines() -> None:
    with pytest.raises(InvalidInput, match="'name' stands on lines 1 and 4"):
        read_yaml(b"name: a\nnodes:\n  - name: b\nname: c\n")


def test_a_laughing_billion_is_refused_at_its_first_anchor() -> None:
    text = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text.encode())

    assert caught.value.code == "yaml_alias_not_allowed"


def test_endless_tags_do_not_keep_the_reader_busy() -> None:
    with pytest.raises(InvalidInput):
        read_yaml(b"a: !" + b"x" * 1_000_000)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("012", 12),
        ("0o12", 10),
        ("0x1F", 31),
        ("+7", 7),
        ("-0", 0),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-21", "2026-11-21"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0b1", "0b1"),
        ("=", "="),
        ("'012'", "012"),
        ('"true"', "true"),
        ("|\n  1\n  2", "1\n2\n"),
        (">-\n  1\n  2", "1 2"),
    ],
)
def test_scalars_are_what_the_core_schema_of_1_2_says(
    scalar: str, value: object
) -> None:
    found = read_yaml(f"a: {scalar}\n".encode())["a"]

    assert found == value
    assert type(found) is type(value)


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read_yaml(b"'<<': 1") == {"<<": 1}


_TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc", "Cn", "Co"], exclude_characters="\ufeff"
    ),
    max_size=80,
)
"""Short enough for keys: YAML looks no further than 1,024 characters for a colon."""

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.dictionaries(_TEXTS, _VALUES))
def test_every_json_object_is_read_as_yaml(value: JsonObject) -> None:
    assert read_yaml(json.dumps(value).encode()) == value


@settings(deadline=None)
@given(st.dictionaries(_TEXTS, _VALUES, min_size=1))
def test_what_a_writer_wrote_is_read(value: JsonObject) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.version = (1, 2)
    writer.default_flow_style = False
    stream = StringIO()
    writer.dump(value, stream)
    text = stream.getvalue().removeprefix("%YAML 1.2\n")

    assert read_yaml(text.encode()) == value


@settings(deadline=None)
@given(st.text("ab:-?![]{}&*#|>'\"%@`, \n\t0.~<", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert _outcome(text) in {
        "read",
        "workflow_not_an_object",
        "yaml_alias_not_allowed",
        "yaml_duplicate_key",
        "yaml_invalid",
        "yaml_key_not_text",
        "yaml_merge_not_allowed",
    }


def _outcome(text: str) -> str:
    try:
        read_yaml(text.encode())
    except InvalidInput as error:
        return error.code

    return "read"


_GREET_YAML = """
name: greet
nodes:
  - {id: start, type: workflow_start, timeout_s: 10}
  - {id: shout, type: transform, output: {text: "${start.name}"}}
  - id: end
    type: workflow_end
    output: {text: "${shout.text}"}
edges:
  - {from: start, to: shout}
  - {from: shout, to: end}
"""

_GREET_JSON: dict[str, Any] = {
    "edges": [{"to": "shout", "from": "start"}, {"to": "end", "from": "shout"}],
    "nodes": [
        {"id": "start", "type": "workflow_start", "timeout_s": 10.0},
        {"id": "shout", "type": "transform", "output": {"text": "${start.name}"}},
        {"id": "end", "type": "workflow_end", "output": {"text": "${shout.text}"}},
    ],
    "name": "greet",
}


def test_a_workflow_has_one_digest_in_yaml_and_in_json() -> None:
    from_yaml = read(Workflow, read_yaml(_GREET_YAML.encode()), source="yaml")
    from_json = read(Workflow, json.dumps(_GREET_JSON).encode())

    assert digest(from_yaml.plain()) == digest(from_json.plain())


def test_who_reads_no_yaml_loads_no_yaml_library() -> None:
    code = "import sys, plans.yaml_text; sys.exit('ruamel.yaml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
