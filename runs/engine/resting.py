"""When a round leaves nothing to do: whether the run is over, or what it waits for.

Pure: reads the walk and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contracts import Fault, JsonObject, PausedReason, Timestamp, later
from plans.plan import PlanNode
from plans.progress import NodeProgress
from runs.engine.verdicts import node_asked
from runs.engine.walk import Walk

SHORT_S = 5.0
"""Another attempt that follows so soon is waited for with the claim held."""

_REASONS: tuple[PausedReason, ...] = (
    "needs_attention",
    "error",
    "approval",
    "gate",
    "frozen",
    "budget",
    "wait",
)
"""Of several, the first is why the run is paused."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The run is done."""

    output: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed, perhaps by one node's error."""

    error: Fault
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """The run was ended from outside."""

    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing runs or is ready; something from outside is waited for."""

    reason: PausedReason
    waiting_on: tuple[JsonObject, ...]
    wake_at: Timestamp | None


Rest = Completed | Failed | Canceled | Paused


def rest_of(walk: Walk) -> Rest | None:
    """How the run rests, or None while something is under way."""
    if walk.in_flight:
        return None

    if walk.progress.cancel is not None:
        return Canceled(str(walk.progress.cancel.get("reason", "")))

    unknown = _any(walk, "unknown")
    if walk.progress.failed_node is not None and not unknown:
        return _failed(walk, walk.progress.failed_node)

    if unknown and walk.stopping:
        return _paused(walk)

    if _is_under_way(walk):
        return None

    return _paused(walk) if walk.active else _at_the_end(walk)


def _is_under_way(walk: Walk) -> bool:
    if walk.calls or walk.asks or walk.unanswered():
        return True

    if not walk.timers:
        return False

    soon = later(walk.log.at, SHORT_S)
    return any(
        when <= soon and walk.progress.nodes[name].status == "retrying"
        for name, when in walk.timers.items()
    )


def _any(walk: Walk, status: str) -> bool:
    return any(walk.progress.nodes[name].status == status for name in walk.active)


def _failed(walk: Walk, node_id: str) -> Failed:
    error = walk.progress.nodes[node_id].error
    return Failed(error or Fault(code="workflow_failed", message="It failed."), node_id)


def _at_the_end(walk: Walk) -> Completed | Failed:
    """Complete with what every end that was reached declares."""
    ends = [
        walk.progress.nodes[node.id]
        for node in walk.plan.nodes.values()
        if node.type == "workflow_end" and node.id in walk.progress.nodes
    ]
    outputs = [end.output for end in ends if end.status == "completed"]
    if not outputs:
        message = "No branch that was taken reached an end node."
        return Failed(Fault(code="workflow_failed", message=message))

    return Completed(
        {key: value for output in outputs for key, value in output.items()}
    )


def _paused(walk: Walk) -> Paused:
    point = str(walk.progress.seq + 1)
    waits = [
        wait
        for node in walk.in_order(walk.active)
        if (wait := _wait(walk, node, point)) is not None
    ]
    waits.sort(key=lambda wait: _REASONS.index(wait["kind"]))
    reason: PausedReason = waits[0]["kind"] if waits else "wait"
    wake_at = min(walk.timers.values(), default=None)
    return Paused(reason, tuple(waits), wake_at)


def _wait(walk: Walk, node: PlanNode, point: str) -> JsonObject | None:
    """What one node waits for; without a ``point`` no answer is taken there."""
    known = walk.progress.nodes[node.id]
    named = {"node": node.id, "since": known.since}
    answerable = {**named, "point": point}
    if known.status == "unknown":
        return {**answerable, "kind": "needs_attention", **_lost_call(known)}

    if known.status == "failed" and known.error is not None:
        return {**answerable, "kind": "error", "code": known.error.code}

    if node.id in walk.holds:
        hold = walk.holds[node.id]
        return {**answerable, "kind": hold.kind, "until": hold.until}

    if known.approval_id is not None:
        return {
            **named,
            "kind": "approval" if node_asked(node) else "gate",
            "approval_id": known.approval_id,
            "decision_id": known.decision_id,
            "until": known.approval_ends,
        }

    wait = known.wait or {"until": known.retry_at, "signal": None}
    return {**answerable, "kind": "wait", **wait}


def _lost_call(known: NodeProgress) -> JsonObject:
    said = known.answer.payload if known.answer is not None else {}
    return {"call_id": said.get("call_id"), "reason": said.get("reason")}
