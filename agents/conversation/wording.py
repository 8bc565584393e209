"""What a person reads that no model wrote; pure."""

from __future__ import annotations

from collections.abc import Iterable

from agents.conversation.turns import Proposed
from contracts import (
    Approval,
    Approved,
    Awaiting,
    Decision,
    JsonObject,
    ModelAnswer,
    Refused,
)

_BECAUSE = {
    "model_not_configured": "No model is configured here yet.",
    "model_unavailable": "The model does not answer at the moment. Try again later.",
    "model_timeout": "The model took too long. Try again later.",
    "model_quota": "The quota at the model's provider is used up.",
    "budget_exceeded": "A budget is used up, so the model was not asked.",
    "llm_refused": "The model declined to answer this.",
    "turn_limit": "This took more steps than one turn may take.",
}
"""One short sentence for what went wrong."""

_OTHERWISE = "Something went wrong with the model's answer. Try again."


def sorry(code: str) -> str:
    """What a person is told of a turn that failed."""
    return _BECAUSE.get(code, _OTHERWISE)


def refused(decision: Decision, verdict: Refused) -> str:
    """What a person is told of a refusal: what, by which rule, and why."""
    rules = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
    return f"Refused{rules} ({verdict.code}): {what(decision)}. {verdict.message}"


def awaiting(decision: Decision, verdict: Awaiting) -> str:
    """What waits for whom."""
    who = ", ".join(verdict.approvers)
    return (
        f"Waiting for {who}: {what(decision)}. "
        f"Approval {verdict.approval_id}, until {verdict.expires_at}."
    )


def told(proposed: Proposed) -> str:
    """What came of a command."""
    decision, verdict, outcome = proposed.decision, proposed.verdict, proposed.outcome
    if isinstance(verdict, Refused):
        return refused(decision, verdict)

    if outcome is None:
        if isinstance(verdict, Awaiting):
            return awaiting(decision, verdict)

        return f"On its way: {what(decision)}."

    if outcome.state == "succeeded":
        run_id = outcome.result.get("run_id") if _is_object(outcome.result) else None
        if decision.action == "workflow.run" and run_id:
            return f"Started: {what(decision)}. See /status {run_id}"

        return f"Done: {what(decision)}."

    why = outcome.error.message if outcome.error else f"It is {outcome.state}."
    return f"Not done: {what(decision)}. {why}"


def goes_on(run_id: str, run: JsonObject) -> str:
    """What a person is told of a run that takes longer than a turn waits."""
    why = f" ({run['paused_reason']})" if run.get("paused_reason") else ""
    return f"This goes on{why}; its answer comes by itself. See /status {run_id}"


def what(asked: Decision | Approval) -> str:
    """An action in a few words."""
    args = asked.args
    names = ("workflow", "flow", "tool", "run_id", "approval_id", "name", "id")
    name = next((str(args[key]) for key in names if args.get(key)), "")
    return f"{asked.action} {name}".strip()


def notes(proposed: Iterable[Proposed]) -> list[str]:
    """What a person must hear of a turn's decisions, whatever the model says."""
    said = []
    for one in proposed:
        if isinstance(one.verdict, Refused):
            said.append(refused(one.decision, one.verdict))
        elif isinstance(one.verdict, Awaiting) and one.outcome is None:
            said.append(awaiting(one.decision, one.verdict))

    return said


def result_of(proposed: Proposed) -> dict[str, object]:
    """What the model is told of a decision."""
    verdict, outcome = proposed.verdict, proposed.outcome
    if isinstance(verdict, Refused):
        return {
            "state": "refused",
            "code": verdict.code,
            "rules": list(verdict.rules),
            "message": verdict.message,
        }

    if proposed.run is not None:
        return proposed.run

    if outcome is not None:
        error = outcome.error.plain() if outcome.error else None
        return {"state": outcome.state, "result": outcome.result, "error": error}

    state = "approved" if isinstance(verdict, Approved) else "awaiting"
    return {"state": state, "message": "It waits for a person; do not wait for it."}


def of_answer(answer: ModelAnswer) -> str:
    """The code of an answer that brought nothing to act on."""
    return answer.code or "llm_bad_output"


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
