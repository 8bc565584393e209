"""From the files of the folder to definitions, checked as a save would check them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import ConfigurationError, InvalidInput, JsonObject
from contracts.definitions import AgentFlow, DefinitionKind, Stage, Tool
from plans import check_stage, check_tool, read_definition, read_yaml, workflow_of
from sluicegate.agent_contract.script import flow_of

_HEADING = re.compile(r"^## +(?P<id>\S.*?)\s*$", re.MULTILINE)
_BLOCK = re.compile(r"```json\s*\n(?P<json>.*?)```", re.DOTALL)
_HARMLESS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything that the folder amounts to, by kind, in the order to save it."""

    name: str
    definitions: tuple[tuple[DefinitionKind, JsonObject], ...]


def read_contract(folder: Path) -> Contract:
    """The contract in a folder. Raises ConfigurationError naming the file."""
    manifest = _manifest(folder)
    name = str(manifest.get("name") or folder.resolve().name)
    schemas = _schemas(folder / "stage_runtime_contract.md")
    told = manifest.get("stages")
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise ConfigurationError(f"{folder}: the manifest lists no stages")

    parts: list[tuple[DefinitionKind, JsonObject]] = [
        *(("tool", one) for one in _tools(folder / "tools")),
        *(("knowledge", one) for one in _knowledge(folder / "KnowledgeBase")),
        *(("stage", _stage(folder, name, one, schemas)) for one in told),
        ("flow", flow_of(name, told, schemas)),
    ]
    for kind, body in parts:
        _check(folder, kind, body)

    return Contract(name, tuple(parts))


def stage_name(contract: str, stage_id: str) -> str:
    """What a stage of a contract is called among all stages."""
    return f"{contract}.{stage_id}"


def _manifest(folder: Path) -> JsonObject:
    for name, read in (
        ("stage_manifest.json", _read_json),
        ("stage_manifest.yaml", _read_yaml),
        ("stage_manifest.yml", _read_yaml),
    ):
        if (folder / name).is_file():
            return _read(folder / name, read)

    raise ConfigurationError(f"{folder}: there is no stage_manifest.json or .yaml")


def _schemas(path: Path) -> dict[str, JsonObject]:
    """The output schema of each stage that has one."""
    if not path.is_file():
        return {}

    text = path.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    ends = [*(one.start() for one in headings[1:]), len(text)]
    found: dict[str, JsonObject] = {}
    for heading, end in zip(headings, ends, strict=False):
        block = _BLOCK.search(text, heading.end(), end)
        if block is not None:
            found[heading["id"]] = _json(path, block["json"])

    return found


def _stage(
    folder: Path, contract: str, told: JsonObject, schemas: dict[str, JsonObject]
) -> JsonObject:
    id_ = str(told.get("id"))
    instructions = told.get("instructions")
    if instructions is None:
        path = _inside(folder, str(told.get("instructions_file")))
        instructions = path.read_text(encoding="utf-8")

    given = {
        "name": stage_name(contract, id_),
        "description": str(told.get("name") or ""),
        "instructions": instructions,
        "output_schema": told.get("contract") or schemas.get(id_),
        "tools": told.get("tools"),
        "knowledge": told.get("knowledge"),
    }
    return {name: value for name, value in given.items() if value}


def _tools(folder: Path) -> Iterator[JsonObject]:
    for path in sorted(folder.glob("*.json")):
        told = _read(path, _read_json)
        function = told.get("function", told)
        http = told.get("x-http")
        method = str(http.get("method", "POST")) if isinstance(http, dict) else ""
        effect = "none" if method in _HARMLESS else "non_idempotent"
        given = {
            "name": function.get("name") or path.stem,
            "description": function.get("description"),
            "kind": told.get("x-kind") or ("http" if http else "python"),
            "effect": told.get("x-effect", effect),
            "input_schema": function.get("parameters"),
            "http": http,
        }
        yield {name: value for name, value in given.items() if value}


def _knowledge(folder: Path) -> Iterator[JsonObject]:
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        yield {"name": path.stem, "content": _read(path, _read_yaml)}


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder. Raises ConfigurationError for one that leads out of it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ConfigurationError(f"{folder}: there is no file {name!r} in it")

    return path


def _check(folder: Path, kind: DefinitionKind, body: JsonObject) -> None:
    try:
        match read_definition(kind, body):
            case Tool() as tool:
                check_tool(tool)
            case Stage() as stage:
                check_stage(stage)
            case AgentFlow() as flow:
                workflow_of(flow)
    except InvalidInput as error:
        raise ConfigurationError(
            f"{folder}: {kind} {body.get('name')}: {error.message}",
            details=error.details,
        ) from error


def _read(path: Path, read: Callable[[Path], Any]) -> JsonObject:
    try:
        found = read(path)
    except (OSError, ValueError, InvalidInput) as error:
        raise ConfigurationError(f"{path}: {error}") from error

    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: it holds no object")

    return found


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_yaml(path: Path) -> Any:
    return read_yaml(path.read_bytes())


def _json(path: Path, text: str) -> JsonObject:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error

    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: a schema is an object")

    return found
