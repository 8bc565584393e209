"""Going on after somebody else: what a claimed run's log leaves open.

Every stored prefix of an append is a state this can go on from.
"""

from __future__ import annotations

from contracts import later
from plans.plan import PlanNode
from plans.progress import NodeProgress, OpenCall
from runs.engine.hearing import conclude
from runs.engine.stepping import follow, step
from runs.engine.thinking import go_on, lose
from runs.engine.walk import ASKED_AGAIN_AFTER_S, Hold, Walk


def recover(walk: Walk) -> None:
    """Take up every node that began and has not ended."""
    for node in walk.in_order(walk.active):
        _take_up(walk, node, walk.progress.node(node.id))


def _take_up(walk: Walk, node: PlanNode, known: NodeProgress) -> None:
    if known.call is not None:
        _lose(walk, node, known.call)
    elif known.status == "waiting" and (known.held or known.approval_id):
        _wait_on(walk, node, known)
    elif known.answer is not None:
        conclude(walk, node, known.answer)
    elif known.status == "retrying":
        walk.timers[node.id] = known.retry_at or walk.log.at
    elif known.status == "waiting":
        _wait_on(walk, node, known)
    elif known.status == "running" and known.turns:
        go_on(walk, node)
    elif known.status == "running":
        follow(walk, node, step(walk, node))


def _lose(walk: Walk, node: PlanNode, call: OpenCall) -> None:
    """The worker that made the call is gone, and its answer with it."""
    if node.prompt is not None and not call.tool:
        return lose(walk, node)

    attempt = walk.progress.node(node.id).attempt
    said = {"call_id": call.call_id, "reason": "lost", "crashed": True}
    event = walk.log.say("tool_unknown", node.id, attempt, **said)
    return conclude(walk, node, event)


def _wait_on(walk: Walk, node: PlanNode, known: NodeProgress) -> None:
    if known.held is not None:
        walk.holds[node.id] = Hold(known.held, known.retry_at)
        _set(walk, node, known.retry_at)
    elif known.wait is not None:
        _set(walk, node, known.wait.get("until"))
    else:
        end = _end_of_asking(known)
        _set(walk, node, end)
        if end is None or end > walk.log.at:
            walk.asks.append(node.id)


def _end_of_asking(known: NodeProgress) -> str | None:
    """When people have had their time; None if nobody is asked."""
    if known.approval_ends is None:
        return None

    return later(known.approval_ends, ASKED_AGAIN_AFTER_S)


def _set(walk: Walk, node: PlanNode, when: str | None) -> None:
    if when is not None:
        walk.timers[node.id] = when
