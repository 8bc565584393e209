"""A decision: what somebody proposes to do, before anything is done.

The principal comes from authentication, never from a body.
A decision proposed by an agent keeps the principal of the person it speaks for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from contracts.actions import ACTIONS, Action
from contracts.clock import Timestamp
from contracts.ids import Id
from contracts.message import JsonObject, Message
from contracts.problems import nearest, shown

ShortText = Annotated[str, StringConstraints(max_length=2_000)]
"""Text for people, at most 2,000 characters."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A name or address, 1 to 200 characters."""


class Proposer(Message):
    """Who thought of it."""

    kind: Literal["user", "agent", "schedule", "run", "system"]
    id: Name


class Principal(Message):
    """On whose authority it is asked: what authentication found out."""

    id: Name
    """The credential: a key, Telegram account or session id, or ``anonymous``."""

    kind: Literal["api_key", "telegram", "session", "anonymous", "system"]

    subject: Name
    """The person or service behind the credential; votes count subjects."""

    permissions: tuple[str, ...]
    tenant: Name

    code_id: Annotated[Name | None, Field(exclude_if=lambda id_: id_ is None)] = None
    """Of a Telegram account: the one-use code that bound it, a key like others.

    Left out where there is none: digests of decisions count every field.
    """

    @property
    def key_id(self) -> str | None:
        """The key whose end ends this authority; None if there is none."""
        return self.id if self.kind == "api_key" else self.code_id


class Channel(Message):
    """Where it came in, and so where an answer goes."""

    kind: Literal["http", "telegram", "clock", "bridge", "cli"]
    address: Annotated[str, StringConstraints(max_length=200)] = ""


class Decision(Message):
    """One action, its arguments and everything the gate needs to judge it."""

    id: Id
    action: Action
    args: JsonObject
    proposer: Proposer
    principal: Principal
    channel: Channel
    conversation_id: Id | None = None
    run_id: Id | None = None
    reason: ShortText = ""
    dry_run: bool = False

    not_after: Timestamp
    """After this moment nobody wants it any more; in no digest."""

    created_at: Timestamp


class Proposal(Message):
    """What a caller sends to propose a decision; the rest is added here."""

    action: Action
    args: JsonObject = Field(default_factory=dict)
    reason: ShortText = ""
    dry_run: bool = False

    @field_validator("action", mode="before")
    @classmethod
    def _is_known(cls, action: object) -> object:
        if isinstance(action, str) and action not in ACTIONS:
            told = f"There is no action {shown(action)}.{nearest(action, ACTIONS)}"
            raise PydanticCustomError("action_unknown", "{told}", {"told": told})

        return action
