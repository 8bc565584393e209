"""The HTTP answer to what became of a decision."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from contracts import Awaiting, Fault, JsonObject, Outcome, Refused
from gateways.http.call import Call
from gateways.http.problems import json_response, problem_response
from gateways.http.proposing import Answer

Shape = Callable[[Answer, JsonObject], tuple[int, JsonObject]]
"""Turns the result of a success into status and body."""


def plainly(status: int) -> Shape:
    """The result as it is."""
    return lambda _, result: (status, result)


def naming(status: int) -> Shape:
    """The result, and the decision that led to it."""
    return lambda answer, result: (
        status,
        {**result, "decision_id": answer.decision_id},
    )


def respond(call: Call, answer: Answer, shape: Shape) -> web.Response:
    """The answer to whoever proposed a change.

    Refused and failed are problems; awaiting, and approved without an outcome yet,
    are 202; success is as ``shape`` says.
    """
    outcome, verdict = answer.outcome, answer.verdict
    if outcome is not None and outcome.state == "succeeded":
        status, body = shape(answer, dict(outcome.result or {}))
        return json_response(body, status, call.headers)

    if outcome is not None:
        return problem_response(
            _failure(answer, outcome), call.asked.request_id, call.headers
        )

    if isinstance(verdict, Refused):
        return problem_response(_refusal(verdict), call.asked.request_id, call.headers)

    if isinstance(verdict, Awaiting):
        return json_response(_awaiting(answer, verdict), 202, call.headers)

    return json_response(approved(answer), 202, call.headers)


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


def approved(answer: Answer) -> JsonObject:
    """The body of a decision that is approved and not carried out yet."""
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


def _refusal(verdict: Refused) -> Fault:
    """A refusal as a fault whose details name the decision and the rules."""
    details = {
        **verdict.details,
        "decision_id": verdict.decision_id,
        "rules": list(verdict.rules),
        "message": verdict.message,
    }
    return Fault(code=verdict.code, message=verdict.message, details=details)


def _failure(answer: Answer, outcome: Outcome) -> Fault:
    """The fault of an outcome that is no success."""
    known = outcome.error or Fault(
        code="outcome_unknown" if outcome.state == "unknown" else "expired",
        message=_WITHOUT_ERROR.get(outcome.state, "It failed."),
    )
    details = {**known.details, "decision_id": answer.decision_id}
    return known.model_copy(update={"details": details})


_WITHOUT_ERROR = {
    "unknown": "Whether it was carried out is not known.",
    "expired": "It was not carried out in time, and will not be.",
}


def _awaiting(answer: Answer, verdict: Awaiting) -> JsonObject:
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
