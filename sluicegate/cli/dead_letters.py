"""``dead-letters``: messages that nobody could handle, and what to do with them."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.text import Text

from contracts import JsonObject
from sluicegate.cli.options import Json, KeyFile, Limit, Url, client
from sluicegate.cli.screen import coloured, emit, screen, table
from sluicegate.client import refused

app = typer.Typer(
    no_args_is_help=True,
    help="Messages that nobody could handle.",
)

LetterId = Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")]

_PATH = "/api/v1/dead-letters"
_FACTS = ("id", "kind", "group", "reason", "count", "at")


@app.command("list")
def list_(
    limit: Limit = 50, url: Url = "", key_file: KeyFile = None, as_json: Json = False
) -> None:
    """List the latest, newest first."""
    found = list(client(url, key_file).pages(_PATH, {}, min(limit, 200)))
    if as_json:
        emit(found)
    elif not found:
        screen.print("There are no dead letters.")
    else:
        table(_FACTS, (_row(letter) for letter in found))


@app.command()
def show(
    letter_id: LetterId, url: Url = "", key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Show one, with its original text."""
    answer = client(url, key_file).call("GET", f"{_PATH}/{letter_id}")
    if answer.status != 200:
        raise refused(answer)

    if as_json:
        emit(answer.body)
        return

    for name in _FACTS:
        screen.print(Text.assemble((f"{name:<8} ", "bold"), str(answer.body[name])))

    screen.print(_readable(answer.body["original"]), markup=False, soft_wrap=True)


@app.command()
def retry(
    letter_id: LetterId, url: Url = "", key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Publish it once more, as it was."""
    _handle("POST", f"{letter_id}/retry", url, key_file, as_json=as_json)


@app.command()
def drop(
    letter_id: LetterId, url: Url = "", key_file: KeyFile = None, as_json: Json = False
) -> None:
    """Forget it."""
    _handle("DELETE", letter_id, url, key_file, as_json=as_json)


def _handle(
    method: str, path: str, url: str, key_file: KeyFile, *, as_json: bool
) -> None:
    answer = client(url, key_file).call(method, f"{_PATH}/{path}")
    if answer.status >= 400:
        raise refused(answer)

    if as_json:
        emit(answer.body)
    else:
        screen.print(coloured("done"), f"{answer.body['state']} {answer.body['id']}")


def _row(letter: JsonObject) -> tuple[str, ...]:
    told = {**letter, "at": letter["at"][:19].replace("T", " ")}
    return tuple(str(told[name]) for name in _FACTS)


def _readable(original: str) -> str:
    """Indented, if it holds JSON."""
    try:
        return json.dumps(json.loads(original), indent=2, ensure_ascii=False)
    except ValueError:
        return original
