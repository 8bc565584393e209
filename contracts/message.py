"""What everything said here has in common: frozen, closed, strict."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]
"""A JSON object: text keys, JSON values."""


class Message(BaseModel):
    """Something that may be said: immutable, with no field beyond the named ones.

    Values are taken as they are: ``"1"`` is no number and ``1.0`` is no integer.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    def plain(self) -> JsonObject:
        """This message as plain JSON values, ``None`` fields included."""
        return self.model_dump(mode="json")
