"""How a call ended, and what stands in the log of it, handed to whoever knows more."""

from __future__ import annotations

from contracts import ModelAnswer, RunEvent
from plans.plan import PlanNode
from runs.effects import CallResult
from runs.engine import answers, thinking
from runs.engine.walk import Walk


def hear_end(
    walk: Walk, node: PlanNode, result: CallResult | ModelAnswer | None
) -> None:
    """A call of a node has ended: say so, and what follows."""
    if node.prompt is not None:
        thinking.hear(walk, node, result)
    elif result is not None and not isinstance(result, ModelAnswer):
        answers.answer(walk, node, result)


def conclude(walk: Walk, node: PlanNode, event: RunEvent) -> None:
    """Say what follows from an answer that stands in the log."""
    if node.prompt is not None:
        thinking.conclude(walk, node, event)
    else:
        answers.conclude(walk, node, event)


def used_by(result: CallResult | ModelAnswer | None) -> dict[str, float]:
    """What a call took of each meter; what is not named, all that was set aside."""
    if not isinstance(result, ModelAnswer):
        return {}

    return {"tokens": float(result.usage.tokens), "cost": result.usage.cost}
