"""The executable node types, one function each: values in, a small result out.

Pure: a step reads no clock, calls nothing and can be evaluated again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from contracts import Fault, JsonObject, Problem, SluicegateError, Timestamp
from contracts.definitions import Fail
from plans import Values, routes
from plans.plan import PlanNode
from runs.steps.lookup import look_up
from runs.steps.results import Asks, Broken, Calls, Done, StepResult, Tells, Thinks
from runs.steps.waiting import wait

Step = Callable[[PlanNode, Values, Timestamp], StepResult]
"""Evaluates a node; raises SluicegateError if an expression fails."""

_MOST_PROBLEMS = 20
_NO_MESSAGE = "The workflow ended the run."


def evaluate(node: PlanNode, values: Values, at: Timestamp) -> StepResult:
    """What the node comes to; an expression that fails breaks it."""
    try:
        return STEPS[node.type](node, values, at)
    except SluicegateError as error:
        return Broken(Fault.of(error))


def output_breach(node: PlanNode, output: Any) -> Fault | None:
    """Why an output breaks the node's output schema, if it does."""
    if node.output_schema is None:
        return None

    return _breach("output_invalid", "output", node.output_schema.problems(output))


def input_breach(node: PlanNode, given: Any) -> Fault | None:
    """Why an input breaks the node's input schema, if it does."""
    if node.input_schema is None:
        return None

    return _breach("input_invalid", "input", node.input_schema.problems(given))


def _breach(code: str, what: str, problems: list[Problem]) -> Fault | None:
    if not problems:
        return None

    first = problems[0]
    return Fault(
        code=code,
        message=f"The {what} breaks its schema at {first.pointer!r}: {first.message}",
        details={
            "validation_error_path": first.pointer,
            "problems": [p.model_dump() for p in problems[:_MOST_PROBLEMS]],
        },
    )


def _start(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    given = values["start"]
    breach = input_breach(node, given)
    return Done(given) if breach is None else Broken(breach, breach=True)


def _end(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    output = _rendered(node, values)
    breach = output_breach(node, output)
    return Done(output, ()) if breach is None else Broken(breach, breach=True)


def _transform(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    return Done(_rendered(node, values))


def _branch(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    chosen = routes(node, "done", values)
    return Done({"to": chosen[0] if chosen else None}, chosen)


def _tool(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    given = _rendered(node, values)
    breach = input_breach(node, given)
    return Calls(given) if breach is None else Broken(breach)


def _model(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    given = _rendered(node, values)
    breach = input_breach(node, given)
    if breach is not None:
        fault = breach.model_copy(update={"code": "stage_validation_failed"})
        return Broken(fault, breach=True)

    if node.prompt is not None:  # what it cannot say now it could not say later
        node.prompt.instructions.render({"input": given})

    return Thinks(given)


def _notify(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    text = _rendered(node, values).get("text")
    words = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return Tells({"text": words})


def _retrieve(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    contents: JsonObject = next(iter(node.knowledge.values()), {})
    return Done(look_up(contents, _rendered(node, values)))


def _approval(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    return Asks(_rendered(node, values))


def _fail(node: PlanNode, values: Values, _: Timestamp) -> StepResult:
    code = cast(Fail, node.definition).code
    message = _rendered(node, values).get("message")
    return Broken(Fault(code=code, message=str(message or _NO_MESSAGE)))


def _rendered(node: PlanNode, values: Values) -> JsonObject:
    rendered = {} if node.template is None else node.template.render(values)
    return cast(JsonObject, rendered)


STEPS: dict[str, Step] = {
    "workflow_start": _start,
    "workflow_end": _end,
    "transform": _transform,
    "branch": _branch,
    "tool": _tool,
    "model": _model,
    "classify": _model,
    "retrieve": _retrieve,
    "notify": _notify,
    "approval": _approval,
    "wait": wait,
    "fail": _fail,
}
"""Every node type this release executes."""
