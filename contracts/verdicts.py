"""The gate's answers: ``Approved``, ``Refused`` or ``Awaiting``.

Only ``Approved`` is accepted by the run entry, and only once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.clock import Timestamp
from contracts.ids import Id
from contracts.message import JsonObject, Message

Audience = Literal["workflow", "coordinator", "conversation"]
"""Which agent may use a verdict."""

Pins = dict[str, str]
"""``kind:name`` of every definition a plan uses, with its digest."""


class Approved(Message):
    """It may be done: exactly this, once, until ``expires_at``."""

    result: Literal["approved"] = "approved"
    id: Id
    decision_id: Id
    decision_digest: str
    action_digest: str
    tenant: str
    subject: str
    audience: Audience
    pins: Pins
    limits: JsonObject
    policy_digest: str
    rules: tuple[str, ...]

    would_refuse: bool = False
    """Only ``mode`` let it pass: in enforce it had been refused."""

    would_ask: bool = False
    """Only ``mode`` let it pass: in enforce a person had been asked."""

    issued_at: Timestamp
    expires_at: Timestamp
    key_id: str
    seal: str


class Refused(Message):
    """It may not be done; ``code`` is a key of the error table."""

    result: Literal["refused"] = "refused"
    id: Id
    decision_id: Id
    code: str
    message: str
    rules: tuple[str, ...] = ()
    details: JsonObject = Field(default_factory=dict)
    policy_digest: str = ""
    issued_at: Timestamp


class Awaiting(Message):
    """A person is asked first; the approval has everything they must see."""

    result: Literal["awaiting"] = "awaiting"
    id: Id
    decision_id: Id
    approval_id: Id
    rules: tuple[str, ...]
    approvers: tuple[str, ...]
    quorum: int
    policy_digest: str = ""
    issued_at: Timestamp
    expires_at: Timestamp


Verdict = Annotated[Approved | Refused | Awaiting, Field(discriminator="result")]
"""What the coordinator says of a decision."""
