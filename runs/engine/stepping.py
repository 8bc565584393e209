"""Taking steps: what is ready is evaluated, and what comes of it is said."""

from __future__ import annotations

from typing import Any

import structlog
from pydantic_core import to_json

from contracts import (
    LIMITS,
    Fault,
    JsonObject,
    PermanentError,
    SluicegateError,
    derived_id,
    later,
)
from plans import routes
from plans.plan import EdgeEnd, PlanNode
from plans.progress import NodeProgress, Signal
from runs.engine.failing import backoff_s, consequence
from runs.engine.walk import Walk
from runs.steps import (
    Asks,
    Broken,
    Calls,
    Done,
    StepResult,
    Tells,
    Thinks,
    Waits,
    evaluate,
)

_log = structlog.get_logger()

_LARGEST = LIMITS["message_bytes"] - 16_384
"""A decision says this and who wants it, and travels in one message."""


def advance(walk: Walk) -> None:
    """Begin everything that is ready, and what gets ready by it."""
    _skip(walk)
    while not walk.stopping:
        node = walk.agenda.next(walk.may_begin)
        if node is None:
            return

        begin(walk, node)


def begin(walk: Walk, node: PlanNode) -> None:
    """The next attempt of a node."""
    known = walk.progress.node(node.id)
    walk.active.add(node.id)
    if _is_carried(walk, node):
        _carry(walk, node)
    else:
        result = step(walk, node)
        wants = _wants(walk, node, result)
        walk.log.say("node_start", node.id, known.attempt + 1, **wants)
        follow(walk, node, result)


def again(walk: Walk, node: PlanNode, by: str) -> None:
    """A new attempt because somebody said so, under a new decision if it needs one."""
    attempt = walk.progress.node(node.id).attempt
    said = {"attempt": attempt + 1, "not_before": walk.log.at, "by": by}
    walk.log.say("node_retry", node.id, attempt, **said)
    walk.forget(node.id)
    begin(walk, node)


def step(walk: Walk, node: PlanNode) -> StepResult:
    """What the node comes to; a tool's input stays that of its first attempt."""
    known = walk.progress.node(node.id).input
    if known is not None and node.type == "tool":
        return Calls(known)

    if known is not None and node.prompt is not None:
        return Thinks(known)

    if known is not None and node.type == "notify":
        return Tells(known)

    result = evaluate(node, walk.values, walk.log.at)
    if isinstance(result, Calls | Thinks | Tells | Asks):
        given = result.form if isinstance(result, Asks) else result.input
        error = unfit(f"input of node {node.id}", given)
        return result if error is None else Broken(Fault.of(error))

    return result


def follow(walk: Walk, node: PlanNode, result: StepResult) -> None:
    """Do what a step that has begun comes to."""
    match result:
        case Done(output, taken):
            complete(walk, node, output, taken=taken)
        case Broken(fault, breach):
            fail(walk, node, fault, breach=breach)
        case Waits():
            _wait(walk, node)
        case Tells():
            walk.calls.append(node.id)
        case Thinks() | Calls() | Asks():
            (walk.asks if walk.needs_decision(node) else walk.calls).append(node.id)


def complete(
    walk: Walk,
    node: PlanNode,
    output: Any,
    *,
    taken: tuple[str, ...] | None = None,
    end: EdgeEnd = "done",
    **more: Any,
) -> None:
    """The node is done, and leads where the edges of this end say."""
    walk.values[node.id] = output
    try:
        taken = _ways_out(walk, node, output, end) if taken is None else taken
    except SluicegateError as error:
        fail(walk, node, Fault.of(error), breach=True)
        return

    attempt = walk.progress.node(node.id).attempt
    said = {"output": output, "routes": list(taken), **more}
    walk.log.say("node_complete", node.id, attempt, **said)
    _leave(walk, node, taken)


def fail(
    walk: Walk,
    node: PlanNode,
    fault: Fault,
    *,
    breach: bool = False,
    refused: bool = False,
) -> None:
    """The node failed; what follows from it is said with it."""
    attended = walk.row.origin.attended
    if breach and node.prompt is not None:
        _log.warning(
            "workflow.stage_validation_failed",
            run_id=walk.row.id,
            node_id=node.id,
            stage=node.prompt.stage.name,
            path=fault.details.get("validation_error_path"),
        )

    does = consequence(node, attended=attended, breach=breach, refused=refused)
    error = fault.plain()
    walk.values[node.id] = {"error": error}
    try:
        taken = None if does.end is None else routes(node, does.end, walk.values)
    except SluicegateError as broken:
        fail(walk, node, Fault.of(broken), breach=True)
        return

    said: JsonObject = {"error": error, "will": does.will}
    if taken is not None:
        said["routes"] = list(taken)

    walk.log.say("node_error", node.id, walk.progress.node(node.id).attempt, **said)
    if taken is not None:
        _leave(walk, node, taken)
    elif does.will == "fail":
        walk.forget(node.id)


def retry(walk: Walk, node: PlanNode, fault: Fault, after_s: float | None) -> None:
    """The attempt failed, and the policy makes another one later."""
    known = walk.progress.node(node.id)
    not_before = later(walk.log.at, backoff_s(node, known, after_s))
    said = {"error": fault.plain(), "will": "retry"}
    walk.log.say("node_error", node.id, known.attempt, **said)
    then = {"attempt": known.attempt + 1, "not_before": not_before, "by": "policy"}
    walk.log.say("node_retry", node.id, known.attempt, **then)
    walk.timers[node.id] = not_before


def hear(walk: Walk, node: PlanNode, signal: Signal) -> None:
    """The signal a node waited for has come."""
    if signal in walk.early:
        walk.early.remove(signal)
        walk.log.handle(signal.id)

    complete(walk, node, signal.payload, signal=signal.id)


def unfit(what: str, value: Any) -> PermanentError | None:
    """The error of a value that is no JSON, or larger than what may travel."""
    try:
        return _too_large(what) if len(to_json(value)) > _LARGEST else None
    except ValueError as error:
        message = f"The {what} cannot be said in JSON: {error}"
        return PermanentError(message, code="upstream_invalid")


def _too_large(what: str) -> PermanentError:
    return PermanentError(
        f"The {what} is larger than {_LARGEST} bytes.",
        code="response_too_large",
        details={"limit": _LARGEST},
    )


def _ways_out(walk: Walk, node: PlanNode, output: Any, end: EdgeEnd) -> tuple[str, ...]:
    """Where a done node leads. Raises SluicegateError if it cannot go on."""
    if node.type != "workflow_start":
        _take_in(walk, node, output)

    return routes(node, end, walk.values)


def _take_in(walk: Walk, node: PlanNode, output: Any) -> None:
    """Count an output with the others. Raises PermanentError for one too many."""
    size, most = len(to_json(output)), LIMITS["run_output_bytes"]
    if size > _LARGEST:
        raise _too_large(f"output of node {node.id}")

    walk.output_bytes += size
    if walk.output_bytes > most:
        raise PermanentError(
            f"With the output of node {node.id} the outputs of the run are larger "
            f"than {most} bytes.",
            code="run_too_large",
            details={"limit": most},
        )


def _wants(walk: Walk, node: PlanNode, result: StepResult) -> JsonObject:
    """What ``node_start`` says of an attempt."""
    known = walk.progress.node(node.id)
    said: JsonObject = {"step": node.position} if walk.plan.workflow.serial else {}
    match result:
        case Tells(given):
            said["input"] = given
        case Thinks(given) | Calls(given) | Asks(given):
            said["input"] = given
            if walk.needs_decision(node):
                said["decision_id"] = _decision_id(walk, node, known)
        case Waits(until, signal):
            said["wait"] = {"until": until, "signal": signal}

    return said


def _decision_id(walk: Walk, node: PlanNode, known: NodeProgress) -> str:
    """The id of the decision of the next attempt: the same after a crash."""
    wish = known.wish
    what = "0" if wish is None else wish.id
    return derived_id("dec", walk.row.id, node.id, what, known.attempt + 1)


def _wait(walk: Walk, node: PlanNode) -> None:
    """Go on if the signal is there already, else set the timer."""
    wait = walk.progress.node(node.id).wait or {}
    for signal in (*walk.progress.signals, *walk.early):
        if signal.name == wait.get("signal"):
            hear(walk, node, signal)
            return

    if wait.get("until") is not None:
        walk.timers[node.id] = wait["until"]


def _is_carried(walk: Walk, node: PlanNode) -> bool:
    """Whether an earlier run's output stands: all that led here is carried too."""
    if node.id not in walk.row.carried or walk.progress.node(node.id).attempt:
        return False

    nodes = walk.progress.nodes
    sources = (nodes[edge.source] for edge in node.incoming if edge.source in nodes)
    return all(s.carried for s in sources if node.id in (s.routes or ()))


def _carry(walk: Walk, node: PlanNode) -> None:
    walk.log.say("node_start", node.id, 1, carried=walk.row.retry_of)
    complete(walk, node, walk.row.carried[node.id], carried=walk.row.retry_of)


def _leave(walk: Walk, node: PlanNode, taken: tuple[str, ...]) -> None:
    walk.forget(node.id)
    walk.agenda.resolve(node.id, taken)
    _skip(walk)


def _skip(walk: Walk) -> None:
    for name in walk.agenda.skipped():
        walk.log.say("node_skipped", name)
