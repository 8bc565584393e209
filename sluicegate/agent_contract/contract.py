"""From the files of the folder to definitions, checked as a save would check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts import (
    ConfigurationError,
    InvalidInput,
    JsonObject,
    SluicegateError,
    digest,
)
from contracts.definitions import AgentFlow, DefinitionKind, Stage, Tool
from plans import (
    CatalogEntry,
    check_stage,
    check_tool,
    compile_workflow,
    read_definition,
    workflow_of,
)
from sluicegate.agent_contract.folder import Folder
from sluicegate.agent_contract.forms import StageForm, ToolForm
from sluicegate.agent_contract.script import flow_of, stage_name

_HARMLESS = frozenset({"GET", "HEAD"})
_NOT_HERE = frozenset({"unknown_tool", "missing_references"})
"""What is not in the folder may be there already."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything that the folder amounts to, by kind, in the order to save it."""

    name: str
    definitions: tuple[tuple[DefinitionKind, JsonObject], ...]
    missing: tuple[str, ...]
    """What it uses and does not hold, as ``kind:name``."""


def read_contract(path: Path) -> Contract:
    """The contract in a folder. Raises ConfigurationError naming what is wrong."""
    folder = Folder(path)
    manifest = folder.manifest()
    name = manifest.name or path.resolve().name
    schemas = folder.schemas()
    parts: list[tuple[DefinitionKind, JsonObject]] = [
        *(("tool", _tool(stem, form)) for stem, form in folder.tools()),
        *(
            ("knowledge", {"name": stem, "content": content})
            for stem, content in folder.knowledge()
        ),
        *(
            ("stage", _stage(folder, name, one, schemas.get(one.id)))
            for one in manifest.stages
        ),
        ("flow", flow_of(name, manifest.stages, schemas)),
    ]
    return Contract(name, tuple(parts), _checked(path, parts))


def _stage(
    folder: Folder, contract: str, told: StageForm, schema: JsonObject | None
) -> JsonObject:
    instructions = told.instructions
    if instructions is None:
        instructions = folder.text(told.instructions_file or f"{told.id}.md")

    given = {
        "name": stage_name(contract, told.id),
        "description": told.name,
        "instructions": instructions,
        "output_schema": told.contract or schema,
        "tools": list(told.tools),
        "knowledge": [_without_end(one) for one in told.knowledge],
    }
    return {name: value for name, value in given.items() if value}


def _tool(stem: str, told: ToolForm) -> JsonObject:
    function, http = told.function or told, told.http
    method = str(http.get("method", "POST")) if http else ""
    effect = "none" if method in _HARMLESS else "non_idempotent"
    given = {
        "name": function.name or stem,
        "description": function.description,
        "kind": told.kind or ("http" if http else "python"),
        "effect": told.effect or effect,
        "input_schema": function.parameters,
        "http": http,
    }
    return {name: value for name, value in given.items() if value}


def _without_end(name: str) -> str:
    return name.removesuffix(".yaml").removesuffix(".yml")


def _checked(
    path: Path, parts: list[tuple[DefinitionKind, JsonObject]]
) -> tuple[str, ...]:
    """Check everything as it would be when saved; what it uses from elsewhere."""
    catalog: dict[str, CatalogEntry] = {}
    missing: tuple[str, ...] = ()
    for kind, body in parts:
        what = f"{kind}:{body.get('name')}"
        if what in catalog:
            raise ConfigurationError(f"{path}: there are two of {what}")

        try:
            missing = _check(kind, body, catalog)
        except SluicegateError as error:
            raise ConfigurationError(
                f"{path}: {kind} {body.get('name')}: {error.message}",
                details=error.details,
            ) from error

    return missing


def _check(
    kind: DefinitionKind, body: JsonObject, catalog: dict[str, CatalogEntry]
) -> tuple[str, ...]:
    """Check one part and put it in the catalog; what a flow misses there."""
    definition = read_definition(kind, body)
    catalog[f"{kind}:{definition.name}"] = CatalogEntry(digest(body), definition)
    match definition:
        case Tool():
            check_tool(definition)
        case Stage():
            check_stage(definition)
        case AgentFlow():
            return _missing(definition, catalog)

    return ()


def _missing(flow: AgentFlow, catalog: Mapping[str, CatalogEntry]) -> tuple[str, ...]:
    """What a flow uses that is not there. Raises InvalidInput for anything else."""
    try:
        compile_workflow(workflow_of(flow), digest(flow.plain()), catalog, kind="flow")
    except InvalidInput as error:
        problems = error.details.get("problems", [])
        if {one["code"] for one in problems} <= _NOT_HERE:
            return tuple(error.details.get("missing", ()))

        raise

    return ()
