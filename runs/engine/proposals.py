"""The decisions a run proposes: its own calls and questions, and what follows failure.

Their ids are derived, so that proposing again after a crash is the same decision.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from bus import Bus
from contracts import (
    Channel,
    Decision,
    JsonObject,
    Proposer,
    RunRow,
    Timestamp,
    derived_id,
    later,
    said,
)
from contracts.definitions import ToolNode
from plans.plan import Plan, PlanNode
from plans.progress import NodeProgress

ON_FAILURE = "on_failure"
"""Who proposes the run that follows a failure; its own failure is followed by none."""

_CHANNELS: dict[str, Literal["clock", "cli"]] = {"schedule": "clock", "cli": "cli"}


def own_decision(
    run: RunRow, node: PlanNode, known: NodeProgress, *, not_after: Timestamp
) -> Decision:
    """The decision that a node's call, or its question, needs first."""
    asks = node.type == "approval"
    return Decision(
        id=known.decision_id or "",
        action="approval.request" if asks else "tool.call",
        args=_question(run, node, known) if asks else _call(node, known),
        proposer=Proposer(kind="run", id=run.id),
        reason=f"Node {node.id} of the workflow {run.workflow}.",
        created_at=known.began_at or run.created_at,
        not_after=not_after,
        **_on_behalf(run),
    )


def failure_decision(
    run: RunRow, plan: Plan, told: JsonObject, *, at: Timestamp, ttl_s: float
) -> Decision | None:
    """The run of the workflow that is to follow a failure, if the plan names one.

    ``told`` says what happened: ``status``, ``seq`` of the event, ``error``.
    """
    follows = plan.workflow.on_failure
    name = None if follows is None else follows.workflow
    if name is None or run.origin.id == ON_FAILURE:
        return None

    given = {"run_id": run.id, "workflow": run.workflow, **told}
    return Decision(
        id=derived_id("dec", run.id, ON_FAILURE, told["seq"]),
        action="workflow.run",
        args={"workflow": name, "input": given},
        proposer=Proposer(kind="system", id=ON_FAILURE),
        reason=f"The run {run.id} is {told['status']}.",
        created_at=at,
        not_after=later(at, ttl_s),
        **_on_behalf(run),
    )


async def propose(bus: Bus, run: RunRow, decision: Decision, *, by: str) -> None:
    """Send a decision to the coordinator. Raises BusUnavailable."""
    await bus.publish(
        said(
            decision,
            by=by,
            tenant=run.tenant,
            at=decision.created_at,
            not_after=decision.not_after,
            correlation_id=run.correlation_id,
        )
    )


def _on_behalf(run: RunRow) -> dict[str, Any]:
    """Whose authority and which conversation a run's decisions have: its own."""
    in_chat = run.origin.kind == "conversation"
    return {
        "principal": run.principal,
        "channel": Channel(kind=_CHANNELS.get(run.origin.kind, "http")),
        "conversation_id": run.origin.id if in_chat else None,
        "run_id": run.id,
    }


def _call(node: PlanNode, known: NodeProgress) -> JsonObject:
    wish = known.wish
    if node.prompt is not None and wish is not None:
        tool, given = node.prompt.tools[wish.name].tool.name, wish.input
    else:
        tool, given = cast(ToolNode, node.definition).tool, known.input

    return {
        "tool": tool,
        "input": given or {},
        "node_id": node.id,
        "attempt": known.attempt,
    }


def _question(run: RunRow, node: PlanNode, known: NodeProgress) -> JsonObject:
    return {
        "run_id": run.id,
        "node_id": node.id,
        "attempt": known.attempt,
        "form": known.input or {},
    }
