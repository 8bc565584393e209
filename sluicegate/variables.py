"""The environment variables of a configuration: their names, and their mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts import ConfigurationError, nearest

PREFIX = "SLUICEGATE_"
"""What every environment variable of ours begins with."""

_OTHERS = frozenset(
    {"SLUICEGATE_URL", "SLUICEGATE_KEY", "SLUICEGATE_CONFIG", "SLUICEGATE_FAILPOINT"}
)
"""Variables of the command line and of tests, not of the configuration."""


def variable(key: str) -> str:
    """The variable of a dotted key: ``SLUICEGATE_SERVER__PORT`` of ``server.port``."""
    return PREFIX + key.replace(".", "__").upper()


def keys_of(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every dotted key of a configuration, those of its sections included."""
    for name, field in model.model_fields.items():
        yield above + name
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from keys_of(section, f"{above}{name}.")


def refuse_unknown_variables(
    model: type[BaseModel], given: Mapping[str, str] = os.environ
) -> None:
    """Raise ConfigurationError for a variable of ours that sets nothing."""
    known = {variable(key) for key in keys_of(model)}
    tables = {variable(name) for name in _tables(model)}
    for name in given:
        if not name.startswith(PREFIX) or name in _OTHERS | known:
            continue

        if not any(name.startswith(f"{table}__") for table in tables):
            raise ConfigurationError(
                f"{name}: there is no such setting.{nearest(name, known)}"
            )


def sentences(error: ValidationError, model: type[BaseModel], path: Path) -> str:
    """What is wrong, each with the file or the variable it stands in."""
    known = sorted(keys_of(model))
    return "; ".join(
        _sentence(detail, known, path) for detail in error.errors(include_url=False)
    )


def _sentence(detail: ErrorDetails, known: list[str], path: Path) -> str:
    key = ".".join(map(str, detail["loc"]))
    where = variable(key) if variable(key) in os.environ else f"{path}: {key}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: there is no such key.{nearest(key, known)}"

    return f"{where}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _tables(model: type[BaseModel]) -> Iterator[str]:
    """The keys that hold tables of names of their own."""
    for name, field in model.model_fields.items():
        if getattr(field.annotation, "__origin__", None) is dict:
            yield name
