"""``/runs/{id}/…``: the answers people give to runs; of many, one wins."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from contracts import (
    Action,
    Approval,
    Conflict,
    InvalidInput,
    JsonObject,
    Message,
    RunRow,
)
from contracts.action_args import Comment, Name
from gateways.http.answering import naming
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, decide
from gateways.http.handlers.approvals import vote
from gateways.http.proposing import Proposed
from gateways.http.queries import only
from gateways.http.waiting import named_run


class ResumeBody(Message):
    """An answer to what the run waits for."""

    node_id: Name | None = None
    resolution: Literal["happened", "did_not_happen"] | None = None
    result: JsonObject | None = None


class CancelBody(Message):
    """Why the run is to stop."""

    reason: Comment = ""


class RetryBody(Message):
    """From where the run is tried again; None: from where it stopped."""

    from_node: Name | None = None


class SignalBody(Message):
    """A named event."""

    name: Name
    payload: JsonObject | None = None


class ApproveBody(Message):
    """A vote on what a node of the run waits for."""

    node_id: Name | None = None
    approve: bool = True
    comment: Comment = ""


async def resume(call: Call) -> web.Response:
    """``POST /runs/{id}/resume``."""
    return await _control(call, "run.resume", ResumeBody)


async def cancel(call: Call) -> web.Response:
    """``POST /runs/{id}/cancel``."""
    return await _control(call, "run.cancel", CancelBody)


async def retry(call: Call) -> web.Response:
    """``POST /runs/{id}/retry``."""
    return await _control(call, "run.retry", RetryBody)


async def signal(call: Call) -> web.Response:
    """``POST /runs/{id}/signal``."""
    return await _control(call, "run.signal", SignalBody, may_be_empty=False)


async def approve(call: Call) -> web.Response:
    """``POST /runs/{id}/approve``: a vote on what the run's node waits for."""
    only(call.request, WAITS)
    row = await named_run(call)
    body = await read_body(call.request, ApproveBody, may_be_empty=True)
    approval = await _waiting(call, row, body.node_id)
    verb: Literal["approval.grant", "approval.refuse"] = (
        "approval.grant" if body.approve else "approval.refuse"
    )
    return await vote(call, verb, approval.id, body.comment)


async def _control(
    call: Call, action: Action, model: type[Message], *, may_be_empty: bool = True
) -> web.Response:
    only(call.request, WAITS)
    row = await named_run(call)
    body = await read_body(call.request, model, may_be_empty=may_be_empty)
    args = {"run_id": row.id, **body.model_dump(mode="json", exclude_none=True)}
    return await decide(call, Proposed(action, args), naming(200))


async def _waiting(call: Call, row: RunRow, node_id: str | None) -> Approval:
    """The one approval that the run waits for, at this node if one is named."""
    waiting = await call.door.store.approvals.of_run(
        row.tenant, row.id, node_id=node_id
    )
    if not waiting:
        raise Conflict("The run waits for no such approval.", code="not_waiting")

    if len(waiting) > 1:
        nodes = ", ".join(str(approval.node_id) for approval in waiting)
        raise InvalidInput(f"Several nodes wait: name one of {nodes}.")

    return waiting[0]
