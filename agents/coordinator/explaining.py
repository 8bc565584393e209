"""Why a recorded decision came out as it did, and what the policy says of it now."""

from __future__ import annotations

from agents.coordinator.policy import CompiledPolicy
from agents.coordinator.policy import explain as explained
from contracts import DecisionRecord, JsonObject, Refused


def explain(record: DecisionRecord, policy: CompiledPolicy) -> JsonObject:
    """The recorded verdict and each rule of a policy, on the recorded facts.

    ``same_policy`` says whether the policy is the one that judged. A decision that
    was refused before any rule was asked has no stories.
    """
    verdict = record.verdict
    told = {
        "decision_id": record.id,
        "action": record.decision.action,
        "state": record.state,
        "verdict": verdict.model_dump(mode="json", exclude={"seal"}),
        "same_policy": record.policy_digest == policy.digest,
    }
    if isinstance(verdict, Refused) and verdict.code != "refused":
        return {**told, **_never_judged(record, verdict)}

    return {
        **told,
        **explained(record.decision.plain(), record.facts, policy).plain(),
    }


def _never_judged(record: DecisionRecord, verdict: Refused) -> JsonObject:
    return {
        "result": "refused",
        "rules": (),
        "message": f"Refused before any rule was asked: {verdict.message}",
        "code": verdict.code,
        "details": verdict.details,
        "policy_digest": record.policy_digest,
        "stories": (),
        "facts": record.facts,
    }
