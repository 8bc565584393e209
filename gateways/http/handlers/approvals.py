"""``/approvals``: the inbox, and the votes."""

from __future__ import annotations

from typing import Literal, get_args

from aiohttp import web

from contracts import Approval, ApprovalState, JsonObject, Message, NotFound
from contracts.action_args import Comment
from gateways.http.answering import respond
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, patience_of
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Answer, Proposed, settled
from gateways.http.queries import an_id, choice, only
from gateways.http.views import approval_view
from store import Page

Verb = Literal["approval.grant", "approval.refuse"]

_PATIENCE_S = 2.0
"""How long a vote waits for the outcome of what it approved."""


class VoteBody(Message):
    """What a voter may add."""

    comment: Comment = ""


async def listing(call: Call) -> web.Response:
    """``GET /approvals``, newest first."""
    state = choice(call.request, "state", get_args(ApprovalState))

    async def fetch(limit: int, after: str | None) -> Page[Approval]:
        return await call.door.store.approvals.page(
            call.tenant, state=state, limit=limit, after=after
        )

    return await page_response(call, fetch, approval_view, filters=("state",))


async def one(call: Call) -> web.Response:
    """``GET /approvals/{id}``."""
    only(call.request, ())
    approval_id = an_id(call.path("id"), "apr")
    approval = await call.door.store.approvals.get(call.tenant, approval_id)
    if approval is None:
        raise NotFound(f"There is no approval {approval_id}.")

    return json_response(approval_view(approval), headers=call.headers)


async def grant(call: Call) -> web.Response:
    """``POST /approvals/{id}/grant``."""
    return await _vote(call, "approval.grant")


async def refuse(call: Call) -> web.Response:
    """``POST /approvals/{id}/refuse``."""
    return await _vote(call, "approval.refuse")


async def vote(call: Call, verb: Verb, approval_id: str, comment: str) -> web.Response:
    """Propose a vote and tell what it led to."""
    args = {"approval_id": approval_id, "comment": comment}
    answer = await propose_once(call, Proposed(verb, args), patience_of(call))
    further = await _outcome_of_what_it_approved(call, answer)
    return respond(call, answer, lambda _, result: (200, {**result, **further}))


async def _vote(call: Call, verb: Verb) -> web.Response:
    only(call.request, WAITS)
    approval_id = an_id(call.path("id"), "apr")
    body = await read_body(call.request, VoteBody, may_be_empty=True)
    return await vote(call, verb, approval_id, body.comment)


async def _outcome_of_what_it_approved(call: Call, answer: Answer) -> JsonObject:
    """The outcome of the approved decision, if it came soon."""
    told = (answer.outcome.result or {}) if answer.outcome else {}
    if told.get("state") != "approved":
        return {}

    record = await settled(call, str(told["decision_id"]), _PATIENCE_S)
    outcome = record.outcome if record is not None else None
    return {} if outcome is None else {"outcome": outcome.plain()}
