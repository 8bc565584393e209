"""Options that many commands share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts import ConfigurationError
from sluicegate.client import Client, find_client
from sluicegate.config import load_settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration file.", show_default="config.toml"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Url = Annotated[str, typer.Option("--url", help="Address of the service.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="File with the bearer key; else SLUICEGATE_KEY, else the service's own.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)]


def config_path(given: Path | None) -> Path:
    """The configuration file: the given one, the environment's, or the shipped one."""
    if given is not None:
        return given

    named = os.environ.get("SLUICEGATE_CONFIG")
    if named:
        return Path(named)

    here = Path("config.toml")
    return here if here.is_file() else shipped("config.toml")


def shipped(name: str) -> Path:
    """A file or folder that comes with the package, or stands in the checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    found = inside if inside.exists() else package.parent / name
    if not found.exists():
        raise ConfigurationError(f"{name}: it is missing from this installation")

    return found


def client(
    url: str = "", key_file: Path | None = None, kept_in: Path | None = None
) -> Client:
    """The client of the running service, as found on this machine.

    ``kept_in`` is where that service keeps its data. Raises ConfigurationError.
    """
    key = _text(key_file).strip() if key_file is not None else ""
    return find_client(kept_in or data_dir(), url=url, key=key)


def data_dir() -> Path:
    """Where the service on this machine keeps its data."""
    return load_settings(config_path(None)).data_dir


def json_argument(text: str) -> Any:
    """A JSON argument, or ``@file`` with one. Raises BadParameter."""
    raw = _text(Path(text[1:])) if text.startswith("@") else text
    try:
        return json.loads(raw)
    except ValueError as error:
        raise typer.BadParameter(f"{text[:64]!r} is not JSON: {error}.") from error


def pairs(given: list[str]) -> dict[str, Any]:
    """``key=value`` arguments; a value that is JSON is taken as such."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair[:64]!r} is not key=value.")

        found[name] = _value(value)

    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}.") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
