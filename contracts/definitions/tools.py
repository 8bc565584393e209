"""A tool: something outside that can be called, with its effect declared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from contracts.definitions.names import DefinitionName, Described
from contracts.definitions.urls import HttpUrl
from contracts.message import JsonObject, Message

EffectClass = Literal["none", "idempotent", "non_idempotent"]
Risk = Literal["low", "medium", "high"]
ToolKind = Literal["http", "python", "mcp", "bridge", "builtin"]
HttpMethod = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Status = Annotated[int, Field(ge=100, le=599)]


class ToolRetry(Message):
    """How often a call is tried, and the first wait in seconds; it doubles."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 1
    backoff_s: Annotated[float, Field(gt=0, le=3_600)] = 1.0


class HttpCallSpec(Message):
    """The request an http tool makes; ``${…}`` over ``input`` fills it in.

    The host is fixed by the definition: no expression stands in it.
    """

    method: HttpMethod = "POST"
    url: HttpUrl
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, Any] = Field(default_factory=dict)
    body: Any = None
    credential: DefinitionName | None = None
    idempotency_header: str | None = None
    safe_statuses: tuple[Status, ...] = ()
    """5xx codes that prove the call had no effect."""


class Tool(Described):
    """A tool with its schemas, effect class and risk."""

    kind: ToolKind
    input_schema: JsonObject = Field(default_factory=dict)
    output_schema: JsonObject = Field(default_factory=dict)
    effect: EffectClass
    risk: Risk = "low"
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 30.0
    retry: ToolRetry = ToolRetry()
    http: HttpCallSpec | None = None
    function: str | None = None
    """The builtin, the entry point, or the server's tool; the name by default."""

    server: str | None = None

    @model_validator(mode="after")
    def _http_goes_with_kind(self) -> Tool:
        if (self.http is not None) != (self.kind == "http"):
            raise ValueError("an http tool, and only it, has an http section")

        return self

    @property
    def needs_own_decision(self) -> bool:
        """Whether each call is judged with its real arguments."""
        return self.effect == "non_idempotent" or self.risk != "low"
