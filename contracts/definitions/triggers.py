"""What starts a published workflow: an endpoint, schedules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.definitions.slugs import Slug
from contracts.message import JsonObject, Message


class EndpointAuth(Message):
    """How a caller of a published endpoint shows who they are."""

    kind: Literal["api_key", "none", "hmac"] = "api_key"
    header: str | None = None
    credential: str | None = None
    scheme: Literal["github", "stripe", "plain"] | None = None


class Parameter(Message):
    """One parameter of a published endpoint."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    in_: Literal["path", "query", "form", "body", "header"] = Field(alias="in")
    required: bool = False
    schema_: JsonObject = Field(default_factory=dict, alias="schema")


class HttpTrigger(Message):
    """An endpoint below ``/api/ex/``."""

    slug: Slug
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str = ""
    mode: Literal["sync", "async"] = "sync"
    auth: EndpointAuth = EndpointAuth()
    parameters: tuple[Parameter, ...] = ()


class Schedule(Message):
    """A cron schedule with a time zone."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")]
    cron: str
    timezone: str = "UTC"
    input: JsonObject = Field(default_factory=dict)
    overlap: Literal["skip", "queue", "allow"] = "skip"
    catch_up_s: Annotated[int, Field(ge=0, le=86_400)] = 0


class Triggers(Message):
    """Everything that starts a workflow besides a decision."""

    http: HttpTrigger | None = None
    schedules: tuple[Schedule, ...] = ()
