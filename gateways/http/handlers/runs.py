"""``/runs``: start, list and read runs."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from aiohttp import web
from pydantic import Field

from contracts import (
    ENDED,
    Approved,
    JsonObject,
    Message,
    NotFound,
    Origin,
    RunRow,
    RunStatus,
    derived_id,
)
from contracts.action_args import Name
from contracts.decisions import ShortText
from gateways.http.answering import approved, plainly, respond
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, patience_of
from gateways.http.idempotency import claim, propose_claimed
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Answer, Patience, Proposed
from gateways.http.queries import choice, moment, only, order, text
from gateways.http.views import decision_view, event_view, run_view
from gateways.http.waiting import RunWatch, current, get_run, named_run
from store import DecisionFilter, Page, RunFilter

_FILTERS = (
    "workflow",
    "status",
    "batch_id",
    "trigger",
    "tag",
    "created_after",
    "created_before",
    "order",
)
_TRIGGERS = get_args(Origin.model_fields["kind"].annotation)
_MOST_DECISIONS = 200
_MOST_EVENTS = 1_000


class StartBody(Message):
    """What a run is started with, and how to wait for it."""

    workflow: Name
    version: Annotated[int, Field(ge=1)] | None = None
    input: JsonObject = Field(default_factory=dict)
    key: Name | None = None
    on_conflict: Literal["reject", "use_existing"] = "reject"
    tags: tuple[Name, ...] = Field(default=(), max_length=20)
    start: bool = True
    reason: ShortText = ""
    wait: bool | None = None
    """Whether to answer only when the run has ended or waits for a person."""

    timeout_s: Annotated[float, Field(gt=0, le=60)] | None = None

    @property
    def proposed(self) -> Proposed:
        """The decision to run it."""
        own = {"reason", "wait", "timeout_s"}
        args = self.model_dump(mode="json", exclude=own, exclude_unset=True)
        return Proposed("workflow.run", args, self.reason)


async def start(call: Call) -> web.Response:
    """``POST /runs``: 202 with the id or, waited for, 200 with the run.

    ``wait`` in the body wins over ``?wait=``, of which ``outcome`` is that of the run.
    """
    only(call.request, WAITS)
    given = patience_of(call)
    body = await read_body(call.request, StartBody)
    patience = _patience(body, given)
    give_up = call.door.clock.monotonic() + patience.timeout_s
    claimed = await claim(call, body.proposed)
    async with RunWatch(call.door.bus, _run_id(claimed.proposed.decision_id)) as watch:
        answer = await propose_claimed(call, claimed, patience)
        if answer.outcome is None or answer.outcome.state != "succeeded":
            return _without_run(call, answer)

        run_id = str(answer.outcome.result["run_id"])
        if not _waits_for_run(call, body):
            is_new = run_id == _run_id(answer.decision_id)
            status = await _status(call, body, is_new, run_id)
            return _accepted(call, answer, run_id, status)

        left = give_up - call.door.clock.monotonic()
        row = await watch.settled(call, run_id, left)

    return await _waited(call, row)


async def listing(call: Call) -> web.Response:
    """``GET /runs``, newest first."""
    request = call.request
    where = RunFilter(
        workflow=text(request, "workflow"),
        status=choice(request, "status", get_args(RunStatus)),
        batch_id=text(request, "batch_id"),
        trigger=choice(request, "trigger", _TRIGGERS),
        tag=text(request, "tag"),
        created_after=moment(request, "created_after"),
        created_before=moment(request, "created_before"),
    )
    by = order(request, "desc")

    async def fetch(limit: int, after: str | None) -> Page[RunRow]:
        return await call.door.store.runs.page(
            call.tenant, where, limit=limit, after=after, order=by
        )

    return await page_response(
        call, fetch, lambda row: run_view(row, row.state), filters=_FILTERS
    )


async def one(call: Call) -> web.Response:
    """``GET /runs/{id}``."""
    only(call.request, ())
    row = await named_run(call)
    return json_response(run_view(row, await current(call, row)), headers=call.headers)


async def output(call: Call) -> web.Response:
    """``GET /runs/{id}/output``: what the end node returned."""
    only(call.request, ())
    state = await current(call, await named_run(call))
    if state.status != "completed":
        raise NotFound(f"The run has no output: it is {state.status}.")

    return json_response(state.output, headers=call.headers)


async def trace(call: Call) -> web.Response:
    """``GET /runs/{id}/trace``: the decisions of the run's chain, and its events."""
    only(call.request, ())
    row = await named_run(call)
    store, where = call.door.store, DecisionFilter(correlation_id=row.correlation_id)
    page = await store.decisions.page(call.tenant, where, limit=_MOST_DECISIONS)
    tail = await store.runs.events(row.tenant, row.id, limit=_MOST_EVENTS)
    body = {
        "correlation_id": row.correlation_id,
        "run": run_view(row, await current(call, row)),
        "decisions": [decision_view(record) for record in reversed(page.items)],
        "events": [event_view(event, payload=True) for event in tail],
    }
    return json_response(body, headers=call.headers)


def _run_id(decision_id: str) -> str:
    """The id of the run that a decision makes; known before there is one."""
    return derived_id("run", decision_id, "0")


def _patience(body: StartBody, given: Patience) -> Patience:
    """How to wait for the decision: until there is a run, and as long as said."""
    return Patience("outcome", body.timeout_s or given.timeout_s)


def _waits_for_run(call: Call, body: StartBody) -> bool:
    if body.wait is not None:
        return body.wait

    return call.request.query.get("wait") == "outcome"


def _without_run(call: Call, answer: Answer) -> web.Response:
    """The answer without an outcome, or to one that is no success.

    The run's id is told only once the run is durable.
    """
    if answer.outcome is not None or not isinstance(answer.verdict, Approved):
        return respond(call, answer, plainly(200))

    return json_response(approved(answer), 202, call.headers)


async def _status(call: Call, body: StartBody, is_new: bool, run_id: str) -> str:
    """The status a run was made with, or that of the one that was there."""
    if is_new:
        return "queued" if body.start else "paused"

    return (await current(call, await get_run(call, run_id))).status


def _accepted(call: Call, answer: Answer, run_id: str, status: str) -> web.Response:
    told = {"id": run_id, "status": status, "decision_id": answer.decision_id}
    return json_response(told, 202, _located(call, run_id))


async def _waited(call: Call, row: RunRow) -> web.Response:
    view = run_view(row, await current(call, row))
    if view["status"] in ENDED:
        return json_response(view, 200, call.headers)

    return json_response(view, 202, _located(call, row.id))


def _located(call: Call, run_id: str) -> dict[str, str]:
    return {**call.headers, "Location": f"/api/v1/runs/{run_id}"}
