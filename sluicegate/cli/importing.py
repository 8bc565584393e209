"""``import``: the older folder form of an agent, saved as a flow and what it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast
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


def import_(
    agent_contract: Annotated[
        Path, typer.Option("--agent-contract", help="The folder of the agent.")
    ],
    url: Url = "",
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Save an agent from its folder: each part is a decision, what is there is left.

    The whole folder is checked before the first part is saved, and that what it uses
    from elsewhere is there.
    """
    contract, service = read_contract(agent_contract), client(url, key_file)
    _check_there(service, contract.missing)
    done: dict[str, list[str]] = {"imported": [], "skipped": []}
    for kind, body in contract.definitions:
        state = "imported" if _save(service, kind, body) else "skipped"
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
    path = _PATHS.get(cast(DefinitionKind, kind))
    if path is None:
        return False

    found = service.call("GET", f"{path}/{quote(name, safe='')}")
    if found.status not in (200, 404):
        raise refused(found)

    return found.status == 200


def _save(service: Client, kind: DefinitionKind, body: JsonObject) -> bool:
    """Save one part as a new name or version; False if it is there just so."""
    path = _PATHS[kind]
    made = service.call("POST", path, body)
    if made.status == 201:
        return True

    if made.body.get("code") != "name_conflict":
        raise refused(made)

    one = f"{path}/{quote(body['name'], safe='')}"
    there = service.call("GET", one)
    if there.status == 200 and there.body.get("definition") == body:
        return False

    replaced = service.call("PUT", one, body)
    if replaced.status != 200:
        raise refused(replaced)

    return True
