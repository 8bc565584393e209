"""What a door keeps between a message of the world and one of the bus."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contracts.clock import Timestamp, later
from contracts.decisions import Channel
from contracts.message import JsonObject, Message

DELIVERY_KEPT_S = 30 * 86_400.0
"""How long a delivery is known, so that none is made twice."""

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


def delivery(
    text: str,
    *,
    id_: str,
    tenant: str,
    channel: Channel,
    at: Timestamp,
    **more: Any,
) -> DoorRecord:
    """A text on its way to a person, as the door of its channel finds it.

    ``more`` may hold ``buttons`` and what a log line should tell.
    """
    body = {"address": channel.address, "text": text, **more}
    return DoorRecord(
        tenant=tenant,
        door=channel.kind,
        kind="delivery",
        name=id_,
        body=body,
        is_open=True,
        at=at,
        expires_at=later(at, DELIVERY_KEPT_S),
    )
