"""Reading definitions: the model, and for a workflow its graph, in one answer."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from contracts import InvalidInput, Problem, invalid, read
from contracts.definitions import DEFINITIONS, DefinitionKind, Described, Workflow
from contracts.definitions.older import modern
from contracts.telling import Source
from plans.compile.scope import Problems
from plans.compile.shape import shape_of
from plans.compile.skeleton import skeleton_of


def read_definition(
    kind: DefinitionKind, body: JsonValue, *, at: str = "", source: Source = "json"
) -> Described:
    """The definition of this kind in a JSON value, older forms included.

    ``at`` is the JSON Pointer of the value in what was sent. Raises InvalidInput with
    the problems of its fields and, for a workflow, those of its graph.
    """
    body = modern(body)
    if kind != "workflow":
        return read(DEFINITIONS[kind], body, at=at, source=source)

    return _workflow(body, at, source)


def read_workflow(
    body: JsonValue, *, at: str = "", source: Source = "json"
) -> Workflow:
    """The workflow in a JSON value; see ``read_definition``."""
    return cast(Workflow, read_definition("workflow", body, at=at, source=source))


def _workflow(body: JsonValue, at: str, source: Source) -> Workflow:
    shape = shape_of(skeleton_of(body if isinstance(body, dict) else {}))
    graph = Problems(at)
    for problem in shape.problems:
        graph.tell(problem.pointer, problem.code, problem.message)

    if shape.is_too_large:
        raise invalid(graph.found)

    try:
        return read(Workflow, body, at=at, source=source)
    except InvalidInput as error:
        fields = [Problem(**told) for told in error.details.get("problems", [])]
        raise invalid([*fields, *graph.found]) from error
