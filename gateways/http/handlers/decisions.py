"""``/decisions``: propose any action, list, read one, explain one."""

from __future__ import annotations

from typing import get_args

from aiohttp import web

from contracts import (
    ACTIONS,
    DecisionRecord,
    DecisionState,
    JsonObject,
    NotFound,
    Outcome,
    Proposal,
)
from gateways.http.answering import respond, shown_verdict, whole
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, patience_of
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Answer, Proposed
from gateways.http.queries import an_id, choice, only, text
from gateways.http.views import decision_view
from store import DecisionFilter, Page

_FILTERS = ("action", "state", "rule", "subject", "correlation_id")


async def submit(call: Call) -> web.Response:
    """``POST /decisions``: 200 carried out, 202 awaiting, 403 refused."""
    only(call.request, WAITS)
    patience = patience_of(call)
    proposal = await read_body(call.request, Proposal)
    proposed = Proposed(
        proposal.action, proposal.args, proposal.reason, proposal.dry_run
    )
    answer = await propose_once(call, proposed, patience)
    if proposal.dry_run:
        return await _dry(call, answer)

    return respond(call, answer, _whole)


async def listing(call: Call) -> web.Response:
    """``GET /decisions``, newest first."""
    request = call.request
    where = DecisionFilter(
        action=choice(request, "action", tuple(ACTIONS)),
        state=choice(request, "state", get_args(DecisionState)),
        rule=text(request, "rule"),
        subject=text(request, "subject"),
        correlation_id=text(request, "correlation_id"),
    )

    async def fetch(limit: int, after: str | None) -> Page[DecisionRecord]:
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


async def _record(call: Call) -> DecisionRecord:
    decision_id = an_id(call.path("id"), "dec")
    record = await call.door.store.decisions.get(call.tenant, decision_id)
    if record is None:
        raise NotFound(f"There is no decision {decision_id}.")

    return record


async def _dry(call: Call, answer: Answer) -> web.Response:
    """What would be: the verdict and the plan, whatever the verdict is."""
    record = await call.door.store.decisions.get(call.tenant, answer.decision_id)
    body = {
        "decision_id": answer.decision_id,
        "state": "dry_run",
        "verdict": shown_verdict(answer),
        "plan": record.plan if record is not None else {},
        "correlation_id": answer.correlation_id,
    }
    return json_response(body, headers=call.headers)


def _whole(answer: Answer, result: JsonObject) -> tuple[int, JsonObject]:
    outcome = answer.outcome or Outcome(
        decision_id=answer.decision_id, state="succeeded", result=result
    )
    return 200, whole(answer, outcome)
