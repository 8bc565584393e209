"""Names of definitions and of nodes."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from contracts.message import Message

DefinitionName = Annotated[
    str, StringConstraints(pattern=r"^[\w][\w .:/-]*$", min_length=1, max_length=100)
]
"""Letters, digits, ``_ . : / -`` and inner blanks; NFC; at most 100 characters."""

NodeId = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$", max_length=64)]
"""A name that expressions can use."""

CelText = Annotated[str, StringConstraints(min_length=1, max_length=10_240)]
"""A CEL expression."""


class Described(Message):
    """A definition with a name and a sentence about it."""

    name: DefinitionName
    description: Annotated[str, StringConstraints(max_length=4_000)] = ""
    schema_version: int = 1
