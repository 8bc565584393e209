"""The HTTP answer to what became of a decision."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from contracts import Awaiting, Fault, JsonObject, Outcome, Refused
from gateways.http.call import Call
from gateways.http.problems import json_response, problem_response
from gateways.http.proposing import Answer

Shape = Callable[[JsonObject], tuple[int, JsonObject]]
"""Turns the result of a success into status and body."""


def respond(call: Call, answer: Answer, shape: Shape) -> web.Response:
    """The answer to a caller who waited for the outcome.

    Refused and failed are problems, awaiting is 202, success is as ``shape`` says.
    """
    outcome, verdict = answer.outcome, answer.verdict
    if outcome is not None and outcome.state == "succeeded":
        status, body = shape(dict(outcome.result or {}))
        return json_response(body, status, call.headers)

    if outcome is not None:
        return problem_response(failure(answer, outcome), call.request_id, call.headers)

    if isinstance(verdict, Refused):
        return problem_response(refusal(verdict), call.request_id, call.headers)

    if isinstance(verdict, Awaiting):
        return json_response(awaiting(answer, verdict), 202, call.headers)

    return json_response(_approved(answer), 202, call.headers)


def refusal(verdict: Refused) -> Fault:
    """A refusal as a fault whose details name the decision and the rules."""
    details = {
        **verdict.details,
        "decision_id": verdict.decision_id,
        "rules": list(verdict.rules),
        "message": verdict.message,
    }
    return Fault(code=verdict.code, message=verdict.message, details=details)


def failure(answer: Answer, outcome: Outcome) -> Fault:
    """The fault of an outcome that is no success."""
    known = outcome.error or Fault(
        code="outcome_unknown" if outcome.state == "unknown" else "expired",
        message=f"The outcome is {outcome.state}.",
    )
    details = {**known.details, "decision_id": answer.decision_id}
    return known.model_copy(update={"details": details})


def awaiting(answer: Answer, verdict: Awaiting) -> JsonObject:
    """The body that tells who is asked."""
    return {
        "decision_id": answer.decision_id,
        "state": "awaiting",
        "verdict": {"result": "awaiting", "rules": list(verdict.rules)},
        "approval": {
            "id": verdict.approval_id,
            "expires_at": verdict.expires_at,
            "approvers": list(verdict.approvers),
            "quorum": verdict.quorum,
        },
        "correlation_id": answer.correlation_id,
    }


def _approved(answer: Answer) -> JsonObject:
    return {
        "decision_id": answer.decision_id,
        "state": "approved",
        "verdict": shown_verdict(answer),
        "outcome": None,
        "correlation_id": answer.correlation_id,
    }


def shown_verdict(answer: Answer) -> JsonObject:
    """A verdict without its seal."""
    verdict = answer.verdict
    told: JsonObject = {
        "result": verdict.result,
        "rules": list(verdict.rules),
        "policy_digest": verdict.policy_digest,
    }
    if isinstance(verdict, Refused):
        return {**told, "code": verdict.code, "message": verdict.message}

    told["expires_at"] = verdict.expires_at
    if isinstance(verdict, Awaiting):
        return {**told, "approvers": list(verdict.approvers), "quorum": verdict.quorum}

    return {
        **told,
        "would_refuse": verdict.would_refuse,
        "would_ask": verdict.would_ask,
    }


def whole(answer: Answer, outcome: Outcome) -> JsonObject:
    """The body of a decision that was carried out."""
    return {
        "decision_id": answer.decision_id,
        "state": "done",
        "verdict": shown_verdict(answer),
        "outcome": {
            "state": outcome.state,
            "result": outcome.result,
            "error": outcome.error.plain() if outcome.error else None,
            "replayed": outcome.replayed,
        },
        "correlation_id": answer.correlation_id,
    }
