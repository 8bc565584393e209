"""What callers see of runs, events, decisions, approvals, keys and definitions."""

from __future__ import annotations

from bus import DeadLetter
from contracts import (
    Approval,
    ConversationRow,
    DecisionRecord,
    Fault,
    JsonObject,
    KeyRow,
    LedgerEntry,
    NodeState,
    RunEvent,
    RunRow,
    RunState,
    TurnEvent,
    canonical,
)
from contracts.definitions import Head


def run_view(row: RunRow, state: RunState) -> JsonObject:
    """A run with its state as of now."""
    return {
        "id": row.id,
        "workflow": row.workflow,
        "workflow_version": row.workflow_version,
        "status": state.status,
        "success": state.success,
        "paused_reason": state.paused_reason,
        "waiting_on": list(state.waiting_on),
        "current_step_index": state.current_step_index,
        "retry_of": row.retry_of,
        "steps_state": {n: _node(s) for n, s in state.steps_state.items()},
        "input": row.input,
        "output": state.output,
        "error": _fault(state.error),
        "usage": state.usage.plain(),
        "pinned": row.pins,
        "decision_id": row.decision_id,
        "correlation_id": row.correlation_id,
        "batch_id": row.batch_id,
        "tags": list(row.tags),
        "created_at": row.created_at,
        "started_at": state.started_at,
        "finished_at": state.finished_at,
        "last_activity_at": state.last_activity_at,
    }


def _node(state: NodeState) -> JsonObject:
    told: JsonObject = {
        "status": state.status,
        "attempt": state.attempt,
        "started_at": state.started_at,
        "finished_at": state.finished_at,
    }
    if state.output is not None:
        told["output"] = state.output

    if state.error is not None:
        told["error"] = _fault(state.error)

    return told


def _fault(fault: Fault | None) -> JsonObject | None:
    return fault.plain() if fault is not None else None


def event_view(event: RunEvent, *, payload: bool) -> JsonObject:
    """An event, with its payload or only the payload's size in bytes."""
    told = event.plain()
    content = told.pop("payload")
    told["payload_size"] = len(canonical(content))
    if payload:
        told["payload"] = content

    return told


def decision_view(record: DecisionRecord) -> JsonObject:
    """A recorded decision, its verdict without the seal."""
    decision = record.decision
    verdict = record.verdict.plain()
    verdict.pop("seal", None)
    return {
        "id": record.id,
        "action": decision.action,
        "args": decision.args,
        "proposer": decision.proposer.plain(),
        "subject": decision.principal.subject,
        "principal": decision.principal.id,
        "channel": decision.channel.plain(),
        "run_id": decision.run_id,
        "conversation_id": decision.conversation_id,
        "reason": decision.reason,
        "state": record.state,
        "verdict": verdict,
        "outcome": record.outcome.plain() if record.outcome else None,
        "rules": list(record.rules),
        "plan": record.plan,
        "policy_digest": record.policy_digest,
        "decision_digest": record.decision_digest,
        "action_digest": record.action_digest,
        "message_id": record.message_id,
        "correlation_id": record.correlation_id,
        "created_at": decision.created_at,
        "recorded_at": record.recorded_at,
        "settled_at": record.settled_at,
    }


def approval_view(approval: Approval) -> JsonObject:
    """Everything an approver must see."""
    return {
        "id": approval.id,
        "decision_id": approval.decision_id,
        "action": approval.action,
        "args": approval.args,
        "plan": approval.plan,
        "rules": list(approval.rules),
        "pins": approval.pins,
        "proposer": approval.proposer.plain(),
        "subject": approval.subject,
        "approvers": list(approval.approvers),
        "quorum": approval.quorum,
        "votes": [vote.plain() for vote in approval.votes],
        "state": approval.state,
        "run_id": approval.run_id,
        "node_id": approval.node_id,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
        "cost_estimate": approval.cost_estimate,
    }


def head_view(head: Head) -> JsonObject:
    """A definition with its version."""
    return {
        "id": head.id,
        "name": head.name,
        "version": head.version,
        "digest": head.digest,
        "published_version": head.published_version,
        "created_at": head.created_at,
        "created_by": head.created_by,
        "definition": head.body,
    }


def key_view(key: KeyRow) -> JsonObject:
    """A key without any secret."""
    return {
        "id": key.id,
        "subject": key.subject_name,
        "subject_id": key.subject,
        "roles": list(key.roles),
        "label": key.label,
        "door": key.door,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def dead_letter_view(letter: DeadLetter) -> JsonObject:
    """A dead letter without what it says."""
    return letter.model_dump(mode="json", exclude={"original"})


def ledger_view(entry: LedgerEntry) -> JsonObject:
    """A link of the chain; the seal of a recorded verdict stays inside."""
    return entry.plain()


def conversation_view(row: ConversationRow) -> JsonObject:
    """A conversation."""
    return {
        "id": row.id,
        "subject": row.subject,
        "channel": row.channel.kind,
        "flow": row.flow,
        "turns": row.state.turns,
        "messages": row.state.messages,
        "waits": sorted(row.state.waiting),
        "decision_id": row.decision_id,
        "created_at": row.created_at,
        "spoke_at": row.spoke_at,
    }


def turn_view(event: TurnEvent) -> JsonObject:
    """A line of a turn log; what was said to whom stands in the history."""
    return event.model_dump(mode="json", exclude={"conversation_id"})
