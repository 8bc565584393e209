"""``/runs``: start, list, read, events, and the answers people give to runs."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from contracts import (
    ENDED,
    EVENTS,
    InvalidInput,
    JsonObject,
    Message,
    NotFound,
    RunRow,
    derived_id,
    new_id,
)
from contracts.action_args import Name
from gateways.http.answering import respond
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.handlers.approvals import vote
from gateways.http.handlers.decisions import wait_of
from gateways.http.idempotency import propose_once
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed, propose
from gateways.http.queries import (
    an_id,
    choice,
    flag,
    integer,
    limit,
    only,
    order,
    seconds,
    text,
)
from gateways.http.streaming import stream_events
from gateways.http.views import decision_view, event_view, run_view
from gateways.http.waiting import RunWatch, current, get_run
from store import DecisionFilter, EventFilter, RunFilter

_RUN_FILTERS = (
    "workflow",
    "status",
    "batch_id",
    "trigger",
    "tag",
    "created_after",
    "created_before",
    "order",
)
_MOST_DECISIONS = 200


class StartRun(Message):
    """The body of ``POST /runs``."""

    workflow: Name
    version: Annotated[int, Field(ge=1)] | None = None
    input: JsonObject = Field(default_factory=dict)
    key: Name | None = None
    on_conflict: str = "reject"
    tags: tuple[Name, ...] = ()
    start: bool = True
    wait: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 30.0
    reason: str = ""


async def start(call: Call) -> web.Response:
    """``POST /runs``: 202 with the id or, waited for, 200 with the run."""
    only(call.request, ("wait", "timeout_s"))
    wait_of(call, "verdict")
    body = await read_body(call.request, StartRun)
    args = body.model_dump(
        mode="json", exclude={"wait", "timeout_s", "reason"}, exclude_unset=True
    )
    decision_id = new_id("dec")
    async with RunWatch(call.door.bus, derived_id("run", decision_id, "0")) as watch:
        proposed = Proposed("workflow.run", args, body.reason, False, decision_id)
        answer, _ = await propose_once(call, proposed)
        outcome = answer.outcome
        if outcome is None or outcome.state != "succeeded":
            return respond(call, answer, lambda result: (200, result))

        run_id = str((outcome.result or {})["run_id"])
        if not body.wait:
            told = {"id": run_id, "status": "queued", "decision_id": answer.decision_id}
            return json_response(told, 202, _located(call, run_id))

        row = await watch.settled(call, run_id, body.timeout_s)

    return await _waited(call, row)


async def listing(call: Call) -> web.Response:
    """``GET /runs``, newest first."""
    query = call.request.query
    where = RunFilter(**{n: query.get(n) for n in _RUN_FILTERS if n != "order"})
    by = order(call.request, "desc")

    async def fetch(many: int, after: str | None):  # type: ignore[no-untyped-def]
        return await call.door.store.runs.page(
            call.tenant, where, limit=many, after=after, order=by
        )

    return await page_response(
        call, fetch, lambda row: run_view(row, row.state), filters=_RUN_FILTERS
    )


async def one(call: Call) -> web.Response:
    """``GET /runs/{id}``."""
    only(call.request, ())
    row = await _run(call)
    return json_response(run_view(row, await current(call, row)), headers=call.headers)


async def output(call: Call) -> web.Response:
    """``GET /runs/{id}/output``: what the end node returned."""
    only(call.request, ())
    row = await _run(call)
    state = await current(call, row)
    if state.status != "completed":
        raise NotFound(f"The run has no output: it is {state.status}.")

    return json_response(state.output, headers=call.headers)


async def events(call: Call) -> web.StreamResponse:
    """``GET /runs/{id}/events``: JSON pages, or a stream if that is accepted."""
    row = await _run(call)
    if "text/event-stream" in call.request.headers.get("Accept", ""):
        only(call.request, ("after",))
        return await stream_events(call, row)

    only(
        call.request,
        (
            *("limit", "cursor", "channel", "types", "node_id"),
            *("include_payload", "order", "since_seq"),
        ),
    )
    return await _event_page(call, row)


async def event(call: Call) -> web.Response:
    """``GET /runs/{id}/events/{event_id}``, with its payload."""
    only(call.request, ())
    row = await _run(call)
    event_id = an_id(call.path("event_id"), "evt")
    found = await call.door.store.runs.event(row.tenant, row.id, event_id)
    if found is None:
        raise NotFound(f"There is no event {event_id} in this run.")

    return json_response(event_view(found, payload=True), headers=call.headers)


async def trace(call: Call) -> web.Response:
    """``GET /runs/{id}/trace``: the decisions of the run's chain, and its events."""
    only(call.request, ())
    row = await _run(call)
    where = DecisionFilter(correlation_id=row.correlation_id)
    page = await call.door.store.decisions.page(
        call.tenant, where, limit=_MOST_DECISIONS
    )
    tail = await call.door.store.runs.events(row.tenant, row.id, limit=1_000)
    body = {
        "correlation_id": row.correlation_id,
        "run": run_view(row, await current(call, row)),
        "decisions": [decision_view(record) for record in reversed(page.items)],
        "events": [event_view(one, payload=True) for one in tail],
    }
    return json_response(body, headers=call.headers)


class Resume(Message):
    """The body of ``resume``."""

    node_id: str | None = None
    resolution: str | None = None
    result: JsonObject | None = None


class Cancel(Message):
    """The body of ``cancel``."""

    reason: str = ""


class Retry(Message):
    """The body of ``retry``."""

    from_node: str | None = None


class Signal(Message):
    """The body of ``signal``."""

    name: Name
    payload: JsonObject = Field(default_factory=dict)


class Approve(Message):
    """The body of ``approve``."""

    node_id: str | None = None
    approve: bool = True
    comment: str = ""


async def resume(call: Call) -> web.Response:
    """``POST /runs/{id}/resume``."""
    return await _control(call, "run.resume", await read_body(call.request, Resume))


async def cancel(call: Call) -> web.Response:
    """``POST /runs/{id}/cancel``."""
    return await _control(call, "run.cancel", await read_body(call.request, Cancel))


async def retry(call: Call) -> web.Response:
    """``POST /runs/{id}/retry``."""
    return await _control(call, "run.retry", await read_body(call.request, Retry))


async def signal(call: Call) -> web.Response:
    """``POST /runs/{id}/signal``."""
    return await _control(call, "run.signal", await read_body(call.request, Signal))


async def approve(call: Call) -> web.Response:
    """``POST /runs/{id}/approve``: a vote on what the run's node waits for."""
    only(call.request, ())
    row = await _run(call)
    body = await read_body(call.request, Approve)
    waiting = await call.door.store.approvals.of_run(
        row.tenant, row.id, node_id=body.node_id
    )
    if len(waiting) != 1:
        raise InvalidInput(
            "The run waits for no approval."
            if not waiting
            else "Several nodes wait; name one with node_id.",
            code="not_waiting" if not waiting else "invalid",
        )

    action = "approval.grant" if body.approve else "approval.refuse"
    return await vote(call, action, waiting[0].id, body.comment)  # type: ignore[arg-type]


async def _control(call: Call, action: str, body: Message) -> web.Response:
    only(call.request, ("wait", "timeout_s"))
    row = await _run(call)
    args = {"run_id": row.id, **body.model_dump(mode="json", exclude_none=True)}
    proposed = Proposed(action, args)  # type: ignore[arg-type]
    answer = await propose(
        call,
        proposed,
        wait=wait_of(call),
        timeout_s=seconds(call.request, "timeout_s", 30.0),
    )
    return respond(
        call,
        answer,
        lambda result: (200, {**result, "decision_id": answer.decision_id}),
    )


async def _waited(call: Call, row: RunRow) -> web.Response:
    view = run_view(row, await current(call, row))
    if view["status"] in ENDED:
        return json_response(view, 200, call.headers)

    return json_response(view, 202, _located(call, row.id))


def _located(call: Call, run_id: str) -> dict[str, str]:
    return {**call.headers, "Location": f"/api/v1/runs/{run_id}"}


async def _run(call: Call) -> RunRow:
    return await get_run(call, an_id(call.path("id"), "run"))


async def _event_page(call: Call, row: RunRow) -> web.Response:
    request = call.request
    where = EventFilter(
        types=_types(request),
        channel=_channel(request),
        node_id=text(request, "node_id"),
    )
    by = order(request, "asc")
    since = integer(request, "since_seq", 0, 0, 2**53)
    names = ("channel", "types", "node_id", "order", "since_seq")
    listing_ = (
        row.tenant,
        request.path,
        *(f"{n}={request.query.get(n, '')}" for n in names),
    )
    begin = call.door.cursors.back(request.query.get("cursor"), listing_)
    many = limit(request)
    found = await call.door.store.runs.events(
        row.tenant,
        row.id,
        after=int(begin) if begin else since,
        limit=many + 1,
        where=where,
        order=by,
    )
    more = str(found[many - 1].seq) if len(found) > many else None
    payload = flag(request, "include_payload")
    body = {
        "items": [event_view(one, payload=payload) for one in found[:many]],
        "next_cursor": call.door.cursors.out(more, listing_),
    }
    return json_response(body, headers=call.headers)


def _types(request: web.Request) -> tuple[str, ...]:
    given = request.query.get("types", "")
    names = tuple(filter(None, given.split(",")))
    unknown = [name for name in names if name not in EVENTS]
    if unknown:
        raise InvalidInput(f"There is no event type {unknown[0][:64]!r}.")

    return names


def _channel(request: web.Request) -> str | None:
    if "channel" not in request.query:
        return None

    channels = tuple(sorted({row.channel for row in EVENTS.values()}))
    return choice(request, "channel", channels, "")
