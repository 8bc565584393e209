"""What follows an error: pure decisions from the node, its edges and the caller."""

from __future__ import annotations

from typing import NamedTuple

from contracts import Fault
from contracts.definitions import Acting, Retry, ToolRetry
from plans.plan import EdgeEnd, PlanNode
from plans.progress import NodeProgress, Will
from runs.steps.asking import called

LONGEST_BACKOFF_S = 3_600.0


class Consequence(NamedTuple):
    """What the run does about a failed node, and which end of the node it leaves."""

    will: Will
    end: EdgeEnd | None = None


def consequence(
    node: PlanNode, *, attended: bool, breach: bool, refused: bool
) -> Consequence:
    """A breach of a contract always fails the run.

    Else the edges for it are taken, unless ``on_error`` says something; else a node
    that acts pauses if a person waits, and everything else fails.
    """
    if breach or node.type == "fail":
        return Consequence("fail")

    if refused and node.leaving("refused"):
        return Consequence("route", "refused")

    said = node.definition.on_error if isinstance(node.definition, Acting) else None
    if said is None and node.leaving("error"):
        return Consequence("route", "error")

    if said == "continue":
        return Consequence("continue", "done")

    acting = isinstance(node.definition, Acting)
    return Consequence(said or ("pause" if acting and attended else "fail"))


def may_retry(node: PlanNode, progress: NodeProgress) -> bool:
    """Whether the policy allows another attempt; counted from a person's answer on."""
    return progress.tries < retry_of(node, progress).max_attempts


def backoff_s(node: PlanNode, progress: NodeProgress, after_s: float | None) -> float:
    """Seconds until the next attempt: doubling, and not before it was allowed."""
    doublings = min(progress.tries - 1, 32)
    wait = retry_of(node, progress).backoff_s * 2.0**doublings
    return max(min(wait, LONGEST_BACKOFF_S), after_s or 0.0)


def retry_of(node: PlanNode, progress: NodeProgress) -> Retry | ToolRetry:
    """The node's own retry, else its tool's, else none.

    A function that a model waits for has its tool's.
    """
    within = called(node, progress)
    if within is not None:
        return within.tool.retry

    own = node.definition.retry if isinstance(node.definition, Acting) else None
    return own or (node.tool.retry if node.tool is not None else Retry())


def unknown_fault(node_id: str, reason: str) -> Fault:
    """A call nobody knows the outcome of."""
    return Fault(
        code="tool_timeout" if reason == "timeout" else "outcome_unknown",
        message=f"Nobody knows whether the call of {node_id!r} happened ({reason}).",
        details={"reason": reason},
    )
