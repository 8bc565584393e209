"""What a door keeps between a message of the world and one of the bus."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.clock import Timestamp
from contracts.message import JsonObject, Message

RecordName = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class DoorRecord(Message):
    """A record that a door keeps: an update taken in, a text to be sent, an account.

    A tenant, door, kind and name have one record.
    """

    tenant: str
    door: RecordName
    kind: RecordName
    name: RecordName
    body: JsonObject = Field(default_factory=dict)
    is_open: bool = False
    """Whether something is still to be done about it."""

    version: int = Field(default=1, ge=1)
    at: Timestamp
    expires_at: Timestamp | None = None
    """Nobody needs it after that; None: it stays."""
