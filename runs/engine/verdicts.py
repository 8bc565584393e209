"""What the gate says of a decision that a node proposed."""

from __future__ import annotations

from contracts import (
    Approved,
    Awaiting,
    Fault,
    JsonObject,
    Outcome,
    Refused,
    RunEventType,
    Verdict,
    later,
)
from plans.plan import PlanNode
from runs.engine.stepping import complete, fail
from runs.engine.thinking import tell
from runs.engine.walk import ASKED_AGAIN_AFTER_S, Walk
from runs.steps.asking import told

_ENDINGS: dict[str, RunEventType] = {"expired": "approval_expired"}


def take_verdict(walk: Walk, verdict: Verdict) -> None:
    """Act on a verdict; one that nobody waits for is nothing."""
    node = _asker(walk, verdict.decision_id)
    if node is None:
        return

    match verdict:
        case Approved():
            _approved(walk, node, verdict)
        case Awaiting():
            _awaiting(walk, node, verdict)
        case Refused():
            _refused(walk, node, _fault(verdict))


def take_outcome(walk: Walk, outcome: Outcome) -> None:
    """A decision that was not carried out: its approval expired, or it failed."""
    node = _asker(walk, outcome.decision_id)
    if node is not None and outcome.state != "succeeded":
        fault = outcome.error or Fault(
            code="expired" if outcome.state == "expired" else "refused",
            message="Nobody answered in time.",
        )
        _refused(walk, node, fault)


def node_asked(node: PlanNode) -> bool:
    """Whether the node itself asks people; else only policy does."""
    terms = getattr(node.definition, "approval", None)
    return node.type == "approval" or terms is not None


def _asker(walk: Walk, decision_id: str) -> PlanNode | None:
    """The node that waits for this decision's verdict."""
    for name in walk.active:
        known = walk.progress.nodes[name]
        waits = known.status == "waiting" and known.decision_id == decision_id
        if waits and name not in walk.verdicts and name not in walk.holds:
            return walk.plan.nodes[name]

    return None


def _approved(walk: Walk, node: PlanNode, verdict: Approved) -> None:
    known = walk.progress.node(node.id)
    if known.approval_id is not None and not known.granted:
        said = {"decision_id": verdict.decision_id, "verdict_id": verdict.id}
        walk.log.say("approval_granted", node.id, known.attempt, **said)

    walk.timers.pop(node.id, None)
    walk.verdicts[node.id] = verdict
    walk.calls.append(node.id)


def _awaiting(walk: Walk, node: PlanNode, verdict: Awaiting) -> None:
    known = walk.progress.node(node.id)
    if known.approval_id is None:
        walk.log.say(
            "approval_requested",
            node.id,
            known.attempt,
            approval_id=verdict.approval_id,
            decision_id=verdict.decision_id,
            rules=list(verdict.rules),
            approvers=list(verdict.approvers),
            quorum=verdict.quorum,
            expires_at=verdict.expires_at,
            asked_by="node" if node_asked(node) else "policy",
        )

    walk.timers[node.id] = later(verdict.expires_at, ASKED_AGAIN_AFTER_S)


def _refused(walk: Walk, node: PlanNode, fault: Fault) -> None:
    known = walk.progress.node(node.id)
    if known.approval_id is not None:
        said: JsonObject = {"decision_id": known.decision_id, "code": fault.code}
        if "by" in fault.details:
            said["by"] = fault.details["by"]

        what = _ENDINGS.get(fault.code, "approval_refused")
        walk.log.say(what, node.id, known.attempt, **said)

    if node.prompt is not None:
        why = {"code": fault.code, "message": fault.message, **fault.details}
        tell(walk, node, told("refused", **why))
    elif node.type == "approval" and node.leaving("refused"):
        answer = {"approved": False, "code": fault.code}
        complete(walk, node, answer, end="refused")
    else:
        fail(walk, node, fault, refused=True)


def _fault(verdict: Refused) -> Fault:
    details = {
        **verdict.details,
        "decision_id": verdict.decision_id,
        "rules": list(verdict.rules),
    }
    return Fault(code=verdict.code, message=verdict.message, details=details)
