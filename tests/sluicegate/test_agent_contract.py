"""The older folder of an agent: what it amounts to, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import ConfigurationError, JsonObject
from sluicegate.agent_contract import Contract, read_contract

REPLY = {
    "type": "object",
    "properties": {"assistantReply": {"type": "string"}},
    "required": ["assistantReply"],
}


def stage(id_: Any = "sort", **more: Any) -> JsonObject:
    return {"id": id_, "instructions": "x", "contract": REPLY, **more}


def contract_of(folder: Path, *stages: JsonObject, **files: bytes) -> Contract:
    """The contract of a folder with these stages, and these files besides."""
    manifest = {"version": 1, "name": "desk", "stages": stages}
    (folder / "stage_manifest.json").write_text(json.dumps(manifest))
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    return read_contract(folder)


def nodes_of(contract: Contract) -> list[str]:
    return [one["id"] for one in dict(contract.definitions)["flow"]["nodes"]]


@pytest.mark.parametrize("id_", ["start", "answer", "run", "item", "in", "1st"])
def test_a_stage_may_be_called_what_no_node_may_be(tmp_path: Path, id_: str) -> None:
    contract = contract_of(tmp_path, stage(id_))

    assert nodes_of(contract) == ["start", f"s_{id_}", "answer"]
    assert [body["name"] for _, body in contract.definitions] == [f"desk.{id_}", "desk"]


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([stage("a"), stage("a")], "two of stage:desk.a"),
        ([stage("a-b"), stage("a_b", depends_on=["a-b"])], "'a_b' is the id of"),
        ([stage("a", depends_on=["zzz"])], "There is no node 'zzz'"),
        (
            [stage("a", depends_on=["b"]), stage("b", depends_on=["a"]), stage("c")],
            "The graph has a cycle",
        ),
        ([stage("a"), stage("b", depends_on=3)], "depends_on"),
        ([stage("a"), stage("b", depends_on="a")], "depends_on"),
        ([stage("a", instructions="${nope.x}")], "nope is not known here"),
        ([stage("a", instructions=None)], "no file 'a.md'"),
        ([stage("a", instructions=None, instructions_file="/etc/hosts")], "no file"),
        ([stage(None)], "stages.0.id"),
        ([], "stages"),
        ([stage("a"), stage("log", contract={"type": "object"})], "assistantReply"),
    ],
)
def test_what_could_not_run_is_told(
    tmp_path: Path, stages: list[JsonObject], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        contract_of(tmp_path, *stages)


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("stage_runtime_contract.md", b"\xff", "it is no UTF-8 text"),
        ("sort.md", b"\xff\xfe", "it is no UTF-8 text"),
        ("tools/x.json", b'{"type": "function", "function": "x"}', "x.json: function"),
        ("tools/x.json", b'{"name": "x", "name": "y"}', "stands twice"),
        ("tools/x.json", b"[" * 100_000, "deeper"),
        ("KnowledgeBase/x.yaml", b"\xff", "x.yaml"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_file(
    tmp_path: Path, file: str, data: bytes, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        contract_of(
            tmp_path,
            stage(instructions=None, instructions_file="sort.md"),
            **{file: data},
        )


def test_what_is_used_from_elsewhere_is_named(tmp_path: Path) -> None:
    contract = contract_of(
        tmp_path,
        stage(tools=["pay"], knowledge=["dictionary.yaml"]),
        **{"KnowledgeBase/dictionary.yaml": b"lamp: a light\n"},
    )

    assert contract.missing == ("tool:pay",)
