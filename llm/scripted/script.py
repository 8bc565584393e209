"""The file that a scripted model answers from.

A JSON object ``{"lines": […]}``; the first line that fits a request answers it::

    {"when": {"said": "(?i)order (?P<what>.+)", "results": 0},
     "then": {"calls": [{"name": "run_workflow", "arguments": {
         "workflow": "order", "input": {"what": "{what}"}}}]}}
    {"when": {"results": 1}, "then": {"text": "Done: {result}"}}
    {"then": {"text": "I only know how to order."}}

``when`` may name ``said``, a regular expression that the last text of the person
holds; ``results``, how many function results came after it; ``result``, one that the
last of them holds; ``schema``, the name of
the contract that the answer shall keep to; ``tool``, a function that is offered.
``then`` has ``text``, ``json`` (a value, said as JSON), ``calls``, or ``error`` (an
``ending`` with a ``code`` and ``message``); ``delay_s`` is the time to think. In texts
and arguments ``{name}`` is a named group of ``said`` or ``result``, ``{said}`` the
whole text and ``{result}`` the last function result; other braces stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from contracts import (
    ConfigurationError,
    FunctionResult,
    InvalidInput,
    JsonObject,
    Message,
    ModelEnding,
    ModelRequest,
    SaidText,
    read,
    read_json,
)

_NAME = re.compile(r"\{([a-z_]+)\}")


class When(Message):
    """Which requests a line answers; what is not named does not matter."""

    said: str | None = None
    results: Annotated[int, Field(ge=0)] | None = None
    result: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    tool: str | None = None

    @field_validator("said", "result")
    @classmethod
    def _is_pattern(cls, given: str | None) -> str | None:
        try:
            re.compile(given or "")
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error

        return given


class Failure(Message):
    """An answer that is none."""

    ending: ModelEnding
    code: str
    message: str = ""
    retry_after_s: float | None = None


class ScriptedCall(Message):
    """A function that the model calls."""

    name: str
    arguments: JsonObject = Field(default_factory=dict)


class Then(Message):
    """What is answered."""

    text: str = ""
    json_value: Any = Field(default=None, alias="json")
    calls: tuple[ScriptedCall, ...] = ()
    error: Failure | None = None
    delay_s: Annotated[float, Field(ge=0, le=600)] = 0.0


class Line(Message):
    """One answer, and when it is given."""

    when: When = When()
    then: Then


class Script(Message):
    """The lines, in the order in which they are looked at."""

    lines: Annotated[tuple[Line, ...], Field(min_length=1)]

    def answer(self, request: ModelRequest) -> tuple[Then, Mapping[str, str]] | None:
        """What the first line that fits says, and what its names stand for."""
        said, results = _last(request)
        for line in self.lines:
            names = _fits(line.when, request, said, results)
            if names is not None:
                told = {"said": said, "result": results[-1] if results else ""}
                return line.then, told | names

        return None


def read_script(path: Path) -> Script:
    """The script of a file. Raises ConfigurationError with what is wrong where."""
    try:
        return read(Script, read_json(path.read_bytes()))
    except OSError as error:
        raise ConfigurationError(f"llm.script: {error}") from error
    except InvalidInput as error:
        told = f"llm.script: {path}: {error.message}"
        raise ConfigurationError(told, details=error.details) from error


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A text, or the texts of a JSON value, with its names replaced."""
    if isinstance(value, str):
        return _NAME.sub(lambda found: names.get(found[1], found[0]), value)

    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}

    if isinstance(value, list):
        return [filled(inner, names) for inner in value]

    return value


def text_of(then: Then, names: Mapping[str, str]) -> str:
    """The text of an answer; a JSON value is said as JSON."""
    if then.json_value is not None:
        return json.dumps(filled(then.json_value, names), ensure_ascii=False)

    return str(filled(then.text, names))


def _last(request: ModelRequest) -> tuple[str, list[str]]:
    """The last text of a person, and the function results after it."""
    said, results = "", list[str]()
    for item in request.input:
        if isinstance(item, SaidText) and item.role == "user":
            said, results = item.text, []
        elif isinstance(item, FunctionResult):
            results.append(item.output)

    return said, results


def _fits(
    when: When, request: ModelRequest, said: str, results: Sequence[str]
) -> dict[str, str] | None:
    if when.results not in (None, len(results)):
        return None

    if when.schema_name is not None and (
        request.output_schema is None or request.schema_name != when.schema_name
    ):
        return None

    if when.tool is not None and when.tool not in {one.name for one in request.tools}:
        return None

    asked = re.search(when.said or "", said)
    came = re.search(when.result or "", results[-1] if results else "")
    if asked is None or came is None:
        return None

    groups = asked.groupdict() | came.groupdict()
    return {name: text or "" for name, text in groups.items()}
