"""The older files as they are written: what is not understood in them is left."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from contracts import JsonObject


def _none_is_empty(value: Any) -> Any:
    return [] if value is None else value


Names = Annotated[tuple[str, ...], BeforeValidator(_none_is_empty)]
"""A list of names; null is none."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class StageForm(_Form):
    """A stage of the manifest."""

    id: Annotated[str, Field(min_length=1)]
    name: str = ""
    depends_on: Names = ()
    instructions: str | None = None
    instructions_file: str | None = None
    tools: Names = ()
    knowledge: Names = ()
    contract: JsonObject | None = None
    """The schema of its output, if it stands here."""


class Manifest(_Form):
    """``stage_manifest.json`` or ``.yaml``."""

    name: str = ""
    stages: Annotated[tuple[StageForm, ...], Field(min_length=1)]


class FunctionForm(_Form):
    """A function in OpenAI's form."""

    name: str | None = None
    description: str = ""
    parameters: JsonObject | None = None


class ToolForm(FunctionForm):
    """A file of ``tools/``, flat or with its ``function`` inside."""

    function: FunctionForm | None = None
    kind: Annotated[str | None, Field(alias="x-kind")] = None
    effect: Annotated[str | None, Field(alias="x-effect")] = None
    http: Annotated[JsonObject | None, Field(alias="x-http")] = None
