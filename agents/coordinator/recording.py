"""The record of a decision, and the approval it opens: made before any release."""

from __future__ import annotations

from agents.coordinator.ruling import Ruling
from agents.coordinator.verdicts import asked_until
from contracts import Approval, Awaiting, DecisionRecord, Envelope, Verdict


def record_of(ruling: Ruling, verdict: Verdict, envelope: Envelope) -> DecisionRecord:
    """Everything that was known and said when the decision was judged."""
    dry_run = ruling.decision.dry_run
    return DecisionRecord(
        decision=ruling.decision,
        decision_digest=ruling.decision_digest,
        action_digest=ruling.action_digest,
        message_id=envelope.id,
        reply_to=envelope.reply_to,
        correlation_id=envelope.correlation_id,
        verdict=verdict,
        facts=ruling.facts,
        plan=ruling.grounds.plan,
        policy_digest=ruling.policy_digest,
        rules=ruling.judgement.rules,
        recorded_at=ruling.at,
        state="dry_run" if dry_run else verdict.result,
    )


def approval_of(ruling: Ruling, verdict: Awaiting) -> Approval:
    """Everything an approver must see of a decision that waits for people."""
    decision, grounds = ruling.decision, ruling.grounds
    return Approval(
        id=verdict.approval_id,
        tenant=decision.principal.tenant,
        decision_id=decision.id,
        action=decision.action,
        action_digest=ruling.action_digest,
        args=decision.args,
        plan=grounds.plan,
        pins=grounds.pins,
        rules=ruling.judgement.rules,
        questions=ruling.judgement.questions,
        proposer=decision.proposer,
        subject=decision.principal.subject,
        policy_digest=ruling.policy_digest,
        cost_estimate=grounds.plan.get("cost_estimate", {}),
        run_id=decision.run_id,
        node_id=decision.args.get("node_id"),
        conversation_id=decision.conversation_id,
        asked_at=ruling.at,
        expires_at=asked_until(ruling),
    )
