"""Timers of nodes that are due: another attempt, the end of a wait, a question."""

from __future__ import annotations

from contracts import Fault, later
from plans.plan import PlanNode
from runs.engine.stepping import again, begin, complete, fail
from runs.engine.walk import ASKED_AGAIN_AFTER_S, Walk


def wake(walk: Walk) -> None:
    """Do what is due by now; nothing if the run is stopping."""
    if not walk.timers or walk.stopping:
        return

    due = {name for name, when in walk.timers.items() if when <= walk.log.at}
    for node in walk.in_order(due):
        if walk.timers.pop(node.id, None) is not None:
            _ring(walk, node)


def is_due(walk: Walk) -> bool:
    """Whether some timer is due by now."""
    return any(when <= walk.log.at for when in walk.timers.values())


def _ring(walk: Walk, node: PlanNode) -> None:
    known = walk.progress.node(node.id)
    if known.status == "retrying":
        begin(walk, node)
    elif node.id in walk.holds:
        let_go(walk, node, by="gate")
    elif known.wait is not None:
        _end_wait(walk, node, known.wait)
    elif known.decision_id is not None:
        walk.asks.append(node.id)
        walk.timers[node.id] = later(walk.log.at, ASKED_AGAIN_AFTER_S)


def let_go(walk: Walk, node: PlanNode, by: str) -> None:
    """Try a call again that was held; what was approved for then is asked again."""
    walk.holds.pop(node.id)
    if walk.needs_decision(node):
        again(walk, node, by)
    else:
        walk.calls.append(node.id)


def _end_wait(walk: Walk, node: PlanNode, wait: dict[str, str | None]) -> None:
    if wait["signal"] is None:
        complete(walk, node, {"until": wait["until"]})
    else:
        message = f"The signal {wait['signal']!r} did not come in time."
        fail(walk, node, Fault(code="signal_timeout", message=message))
