"""``/approvals``: the inbox, and the votes."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from contracts import Approval, JsonObject, Message, NotFound
from gateways.http.answering import respond
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed, propose, settled
from gateways.http.queries import an_id, only
from gateways.http.views import approval_view

_PATIENCE_S = 2.0
"""How long a vote waits for the outcome of what it approved."""


class Comment(Message):
    """What a voter may add."""

    comment: str = ""


async def listing(call: Call) -> web.Response:
    """``GET /approvals``, newest first."""

    async def fetch(limit: int, after: str | None):  # type: ignore[no-untyped-def]
        return await call.door.store.approvals.page(
            call.tenant,
            state=call.request.query.get("state"),
            limit=limit,
            after=after,
        )

    return await page_response(call, fetch, approval_view, filters=("state",))


async def one(call: Call) -> web.Response:
    """``GET /approvals/{id}``."""
    only(call.request, ())
    return json_response(approval_view(await _approval(call)), headers=call.headers)


async def grant(call: Call) -> web.Response:
    """``POST /approvals/{id}/grant``."""
    return await _vote(call, "approval.grant")


async def refuse(call: Call) -> web.Response:
    """``POST /approvals/{id}/refuse``."""
    return await _vote(call, "approval.refuse")


async def vote(
    call: Call,
    action: Literal["approval.grant", "approval.refuse"],
    approval_id: str,
    comment: str,
) -> web.Response:
    """Propose a vote and tell what it led to."""
    args = {"approval_id": approval_id, "comment": comment}
    answer = await propose(call, Proposed(action, args))
    approved: JsonObject = (answer.outcome.result or {}) if answer.outcome else {}
    outcome = await _outcome(call, approved)
    return respond(call, answer, lambda result: (200, {**result, **outcome}))


async def _vote(
    call: Call, action: Literal["approval.grant", "approval.refuse"]
) -> web.Response:
    only(call.request, ())
    approval_id = an_id(call.path("id"), "apr")
    body = await read_body(call.request, Comment)
    return await vote(call, action, approval_id, body.comment)


async def _outcome(call: Call, told: JsonObject) -> JsonObject:
    """What came of the approved decision, if it came soon."""
    if told.get("state") != "approved":
        return {}

    record = await settled(call, str(told["decision_id"]), _PATIENCE_S)
    outcome = record.outcome if record is not None else None
    return {} if outcome is None else {"outcome": outcome.plain()}


async def _approval(call: Call) -> Approval:
    approval_id = an_id(call.path("id"), "apr")
    approval = await call.door.store.approvals.get(call.tenant, approval_id)
    if approval is None:
        raise NotFound(f"There is no approval {approval_id}.")

    return approval
