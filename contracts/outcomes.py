"""What became of an approved decision, and how an error is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from contracts.errors import CODES, SluicegateError
from contracts.ids import Id
from contracts.message import JsonObject, Message


class Fault(Message):
    """An error as data: the code is a key of the error table."""

    code: str
    message: str
    details: JsonObject = Field(default_factory=dict)

    @classmethod
    def of(cls, error: SluicegateError) -> Fault:
        """The data of an error that was raised."""
        return cls(code=error.code, message=error.message, details=error.details)

    @property
    def status(self) -> int:
        """The HTTP status of the code; 500 for a code of a tool's own."""
        return CODES[self.code].status if self.code in CODES else 500


class Outcome(Message):
    """How the carrying out ended."""

    decision_id: Id
    state: Literal["succeeded", "failed", "unknown", "expired"]
    result: Any = None
    """JSON, as the action defines it."""

    error: Fault | None = None
    replayed: bool = False
    """The verdict had been used before; this is what came of the first use."""
