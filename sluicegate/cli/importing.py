"""``import``: the older folder form of an agent, saved as a flow and what it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from contracts import ConfigurationError, JsonObject
from contracts.definitions import DefinitionKind
from sluicegate.agent_contract import read_contract
from sluicegate.cli.options import Json, KeyFile, Url, client
from sluicegate.cli.screen import emit, margin, screen
from sluicegate.client import Client, refused
from sluicegate.invocation import COMMAND

_PATHS: dict[DefinitionKind, str] = {
    "tool": "/api/v1/tools",
    "knowledge": "/api/v1/knowledge",
    "stage": "/api/v1/stages",
    "flow": "/api/v1/flows",
}
_There = Mapping[tuple[DefinitionKind, str], JsonObject | None]


def import_(
    agent_contract: Annotated[
        Path, typer.Option("--agent-contract", help="The folder of the agent.")
    ],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Save new versions of what is there otherwise."),
    ] = False,
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Save an agent from its folder: each part is a decision, what is there is left.

    The whole folder is checked before the first part is saved, that what it uses from
    elsewhere is there, and that no part is there otherwise.
    """
    contract, service = read_contract(agent_contract), client(url, key_file)
    _check_there(service, contract.missing)
    there = {
        (kind, body["name"]): _found(service, kind, body["name"])
        for kind, body in contract.definitions
    }
    if not replace:
        _refuse_to_replace(contract.definitions, there)

    done: dict[str, list[str]] = {"imported": [], "changed": [], "skipped": []}
    for kind, body in contract.definitions:
        state = _save(service, kind, body, there[kind, body["name"]])
        done[state].append(f"{kind}:{body['name']}")
        if not as_json:
            screen.print(f"{state:<9} {kind} {body['name']}", markup=False)

    if as_json:
        emit({"flow": contract.name, **done})
    else:
        told = f"  {COMMAND} chat, then: /bind {contract.name}"
        margin.print(Text(told, "bright_black"))


def _check_there(service: Client, missing: tuple[str, ...]) -> None:
    """Raise ConfigurationError for what neither the folder nor the service has."""
    away = [what for what in missing if not _is_there(service, what)]
    if away:
        raise ConfigurationError(
            f"neither the folder nor the service has {', '.join(away)}"
        )


def _is_there(service: Client, what: str) -> bool:
    kind, _, name = what.partition(":")
    if kind not in _PATHS:
        return False

    return _found(service, kind, name) is not None


def _refuse_to_replace(
    parts: Iterable[tuple[DefinitionKind, JsonObject]], there: _There
) -> None:
    """Raise ConfigurationError for what the service has, but not just so."""
    others = [
        f"{kind}:{body['name']}"
        for kind, body in parts
        if there[kind, body["name"]] not in (None, body)
    ]
    if others:
        raise ConfigurationError(
            f"the service has another {', '.join(others)}; "
            "--replace saves yours as new versions"
        )


def _found(service: Client, kind: DefinitionKind, name: str) -> JsonObject | None:
    """A definition as the service has it; None if it has none."""
    found = service.call("GET", _place(kind, name))
    if found.status not in (200, 404):
        raise refused(found)

    return dict(found.body["definition"]) if found.status == 200 else None


def _save(
    service: Client, kind: DefinitionKind, body: JsonObject, there: JsonObject | None
) -> str:
    """Save one part as a new name or version, unless it is there just so."""
    if there == body:
        return "skipped"

    if there is None:
        saved = service.call("POST", _PATHS[kind], body)
    else:
        saved = service.call("PUT", _place(kind, body["name"]), body)

    if saved.status not in (200, 201):
        raise refused(saved)

    return "imported" if there is None else "changed"


def _place(kind: DefinitionKind, name: str) -> str:
    return f"{_PATHS[kind]}/{quote(name, safe='')}"
