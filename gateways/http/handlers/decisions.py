"""``/decisions``: propose any action, list, read one, explain one."""

from __future__ import annotations

from aiohttp import web

from contracts import (
    Awaiting,
    DecisionRecord,
    JsonObject,
    NotFound,
    Outcome,
    Proposal,
    Refused,
)
from gateways.http.answering import respond, shown_verdict, whole
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Answer, Proposed, Wait
from gateways.http.queries import an_id, choice, only, seconds
from gateways.http.views import decision_view
from store import DecisionFilter

_FILTERS = ("action", "state", "rule", "subject", "correlation_id")


async def submit(call: Call) -> web.Response:
    """``POST /decisions``: 200 carried out, 202 awaiting, 403 refused."""
    only(call.request, ("wait", "timeout_s"))
    wait = wait_of(call)
    proposal = await read_body(call.request, Proposal)
    proposed = Proposed(
        proposal.action, proposal.args, proposal.reason, proposal.dry_run
    )
    answer, _ = await propose_once(
        call, proposed, wait=wait, timeout_s=seconds(call.request, "timeout_s", 30.0)
    )
    if proposal.dry_run:
        return await _dry(call, answer)

    if wait != "outcome" and answer.outcome is None:
        return _verdict_only(call, answer)

    return respond(call, answer, lambda result: (200, _whole(answer, result)))


async def listing(call: Call) -> web.Response:
    """``GET /decisions``, newest first."""
    query = call.request.query
    where = DecisionFilter(**{name: query.get(name) for name in _FILTERS})

    async def fetch(limit: int, after: str | None):  # type: ignore[no-untyped-def]
        return await call.door.store.decisions.page(
            call.tenant, where, limit=limit, after=after
        )

    return await page_response(call, fetch, decision_view, filters=_FILTERS)


async def one(call: Call) -> web.Response:
    """``GET /decisions/{id}``."""
    only(call.request, ())
    return json_response(decision_view(await _record(call)), headers=call.headers)


async def explain(call: Call) -> web.Response:
    """``POST /decisions/{id}/explain``: each rule, whether it matched, and why."""
    only(call.request, ())
    record = await _record(call)
    return json_response(call.door.explain(record), headers=call.headers)


def wait_of(call: Call, default: Wait = "outcome") -> Wait:
    """How far the caller wants to hear."""
    chosen = choice(call.request, "wait", ("verdict", "outcome", "none"), default)
    waits: dict[str, Wait] = {w: w for w in ("verdict", "outcome", "none")}  # type: ignore[misc]
    return waits[chosen]


async def _record(call: Call) -> DecisionRecord:
    decision_id = an_id(call.path("id"), "dec")
    record = await call.door.store.decisions.get(call.tenant, decision_id)
    if record is None:
        raise NotFound(f"There is no decision {decision_id}.")

    return record


async def _dry(call: Call, answer: Answer) -> web.Response:
    record = await call.door.store.decisions.get(call.tenant, answer.decision_id)
    body = {
        "decision_id": answer.decision_id,
        "state": "dry_run",
        "verdict": shown_verdict(answer),
        "plan": record.plan if record is not None else {},
        "correlation_id": answer.correlation_id,
    }
    return json_response(body, headers=call.headers)


def _verdict_only(call: Call, answer: Answer) -> web.Response:
    if isinstance(answer.verdict, Refused | Awaiting):
        return respond(call, answer, lambda result: (200, result))

    body: JsonObject = {
        "decision_id": answer.decision_id,
        "state": answer.state or "approved",
        "verdict": shown_verdict(answer),
        "outcome": None,
        "correlation_id": answer.correlation_id,
    }
    return json_response(body, 202, call.headers)


def _whole(answer: Answer, result: JsonObject) -> JsonObject:
    outcome = answer.outcome or Outcome(
        decision_id=answer.decision_id, state="succeeded", result=result
    )
    return whole(answer, outcome)
