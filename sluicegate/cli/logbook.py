"""``logs``: the lines of the log file, as people read them."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from typing import Annotated, TextIO

import typer
from rich.text import Text

from contracts import ConfigurationError, JsonObject
from sluicegate.cli.options import Config, Json, Limit, config_path
from sluicegate.cli.screen import emit, screen
from sluicegate.config import load_settings

_LOOK_AGAIN_S = 0.2
_DIM = "bright_black"
_COLOURS = {"warning": "yellow", "error": "red", "critical": "bold red"}
_OWN = frozenset({"timestamp", "level", "event"})


def logs(
    about: Annotated[
        str, typer.Option(help="Only lines with this: an id, an event, a word.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on live.")] = False,
    limit: Limit = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the last lines of the log file."""
    path = load_settings(config_path(config)).log_file
    if path is None:
        raise ConfigurationError("logging.file is empty: lines go to the terminal only")

    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no log file yet")

    with path.open(encoding="utf-8") as file:
        for line in _lines(file, about, limit, follow=follow):
            _show(line, as_json=as_json)


def _lines(file: TextIO, about: str, limit: int, *, follow: bool) -> Iterator[str]:
    """The last lines, and with ``follow`` those that come."""
    yield from deque((line for line in file if about in line), maxlen=limit)
    while follow:
        line = file.readline()
        if not line:
            time.sleep(_LOOK_AGAIN_S)
        elif about in line:
            yield line


def _show(raw: str, *, as_json: bool) -> None:
    line = _parsed(raw)
    if as_json:
        emit(line)
    else:
        screen.print(_readable(line), soft_wrap=True)


def _parsed(raw: str) -> JsonObject:
    """The line as JSON; one that was cut off is told as it is."""
    try:
        return dict(json.loads(raw))
    except ValueError:
        return {"timestamp": "", "level": "error", "event": "unreadable", "raw": raw}


def _readable(line: JsonObject) -> Text:
    told = "  ".join(f"{k}={v}" for k, v in line.items() if k not in _OWN and v)
    return Text.assemble(
        (f"{line['timestamp'][11:23]} ", _DIM),
        (f"{line['event']:<20} ", _COLOURS.get(line["level"], "bold")),
        told,
    )
