"""Checks of definitions that are no workflows: schemas, templates, keys."""

from __future__ import annotations

from contracts import InvalidInput, invalid
from contracts.definitions import HttpCallSpec, Stage, Tool
from plans.compile.scope import Problems
from plans.expressions import compile_template
from plans.schemas import compile_schema

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods that are idempotent without a key."""


def check_tool(tool: Tool, *, at: str = "") -> None:
    """Raise InvalidInput naming everything that keeps a tool from working."""
    problems = _schemas(tool, at)
    if tool.http is not None:
        _check_request(tool.http, problems)

    if _lacks_key(tool):
        message = (
            "A tool that is idempotent by a key names the idempotency_header "
            f"that {tool.http.method if tool.http else ''} sends it in."
        )
        problems.tell("/effect", "idempotency_not_supported", message)

    _raise(problems)


def check_stage(stage: Stage, *, at: str = "") -> None:
    """Raise InvalidInput for a stage whose schemas or instructions are not valid."""
    problems = _schemas(stage, at)
    try:
        compile_template(stage.instructions, ("input",))
    except InvalidInput as error:
        problems.take("/instructions", error)

    _raise(problems)


def _schemas(definition: Tool | Stage, at: str) -> Problems:
    problems = Problems(at)
    for name in ("input_schema", "output_schema"):
        try:
            compile_schema(getattr(definition, name))
        except InvalidInput as error:
            problems.take(f"/{name}", error)

    return problems


def _check_request(spec: HttpCallSpec, problems: Problems) -> None:
    """The request's templates see the tool's input and nothing else."""
    said = spec.plain()
    parts = {name: said[name] for name in ("url", "headers", "query", "body")}
    try:
        compile_template(parts, ("input",))
    except InvalidInput as error:
        problems.take("/http", error)


def _lacks_key(tool: Tool) -> bool:
    if tool.http is None or tool.effect != "idempotent":
        return False

    keyed = tool.http.idempotency_header is not None
    return not keyed and tool.http.method not in _REPEATABLE


def _raise(problems: Problems) -> None:
    if problems.found:
        raise invalid(problems.found)
