"""Names of definitions and of nodes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from contracts.characters import title
from contracts.message import Message

SCHEMA_VERSION = 1
"""The newest form of definitions that is known here."""

DefinitionName = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(title)
]
"""Letters, digits, ``_ . : / -`` and inner blanks; NFC; at most 100 characters."""

NodeId = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$", max_length=64)]
"""A name that expressions can use."""

CelText = str
"""A CEL expression; what is wrong with it, its size too, compiling tells."""


def _known_version(version: int) -> int:
    if version > SCHEMA_VERSION:
        raise PydanticCustomError(
            "definition_too_new",
            "The definition is of schema version {version}; {known} is known here",
            {"version": version, "known": SCHEMA_VERSION},
        )

    return version


SchemaVersion = Annotated[int, Field(ge=1), AfterValidator(_known_version)]


class Described(Message):
    """A definition with a name and a sentence about it."""

    name: DefinitionName
    description: Annotated[str, StringConstraints(max_length=4_000)] = ""
    schema_version: SchemaVersion = SCHEMA_VERSION
