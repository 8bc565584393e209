"""What follows from how a call ended: first the answer is said, then the rest.

The rest follows from the answer alone, so that it can be said again after a crash.
"""

from __future__ import annotations

from typing import Any, Literal

from contracts import Fault, JsonObject, Outcome, RunEvent
from plans.plan import PlanNode
from runs.effects import CallResult, Failed, Retryable, Succeeded, Unknown
from runs.engine.failing import may_retry, unknown_fault
from runs.engine.stepping import complete, fail, retry, unfit
from runs.engine.walk import Walk
from runs.steps import output_breach


def answer(walk: Walk, node: PlanNode, result: CallResult) -> None:
    """Say how the node's open call ended, and what follows."""
    known = walk.progress.node(node.id)
    if known.call is None:
        return

    what, payload = _said(node, result)
    said = {"call_id": known.call.call_id, **payload}
    conclude(walk, node, walk.log.say(what, node.id, known.attempt, **said))


def conclude(walk: Walk, node: PlanNode, event: RunEvent) -> None:
    """Say what follows from an answer."""
    if event.type == "tool_result":
        _on_result(walk, node, event.payload)
    elif event.type == "tool_error":
        _on_error(walk, node, event.payload)
    else:
        _on_unknown(walk, node, event.payload)


def settle(
    walk: Walk,
    node: PlanNode,
    state: Literal["succeeded", "failed", "unknown", "expired"],
    error: Fault | None = None,
) -> None:
    """Tell the node's own decision, if it has one, what came of it."""
    decision_id = walk.progress.node(node.id).decision_id
    if decision_id is not None:
        result = {"run_id": walk.row.id, "node_id": node.id}
        walk.log.settle(
            Outcome(decision_id=decision_id, state=state, result=result, error=error)
        )


def _said(
    node: PlanNode, result: CallResult
) -> tuple[Literal["tool_result", "tool_error", "tool_unknown"], JsonObject]:
    match result:
        case Succeeded(output, breach):
            return "tool_result", _result(node, output, breach)
        case Failed(error):
            return "tool_error", {"error": error.plain(), "again": False}
        case Retryable(error, after_s):
            said = {"error": error.plain(), "again": True, "after_s": after_s}
            return "tool_error", said
        case Unknown(reason, error):
            return "tool_unknown", {"reason": reason, "error": error.plain()}


def _result(node: PlanNode, output: Any, breach: Fault | None) -> JsonObject:
    error = unfit(f"output of node {node.id}", output)
    if error is not None:
        output, breach = None, Fault.of(error)

    breach = breach or output_breach(node, output)
    return {"output": output, **({"breach": breach.plain()} if breach else {})}


def _on_result(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    settle(walk, node, "succeeded")
    if "breach" in said:
        fail(walk, node, Fault(**said["breach"]), breach=True)
    else:
        complete(walk, node, said["output"])


def _on_error(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    error = Fault(**said["error"])
    if said["again"]:
        again_or_fail(walk, node, error, said["after_s"])
    else:
        settle(walk, node, "failed", error)
        fail(walk, node, error)


def _on_unknown(walk: Walk, node: PlanNode, said: JsonObject) -> None:
    """An idempotent call is made again; any other waits for a person."""
    error = (
        Fault(**said["error"])
        if "error" in said
        else unknown_fault(node.id, said["reason"])
    )
    if walk.progress.node(node.id).effect == "non_idempotent":
        settle(walk, node, "unknown", error)
    elif said.get("crashed"):
        walk.calls.append(node.id)
    else:
        again_or_fail(walk, node, error, None)


def again_or_fail(
    walk: Walk, node: PlanNode, error: Fault, after_s: float | None
) -> None:
    """Make another attempt later if the node's policy allows one."""
    if not walk.stopping and may_retry(node, walk.progress.node(node.id)):
        retry(walk, node, error, after_s)
    else:
        settle(walk, node, "failed", error)
        fail(walk, node, error)
