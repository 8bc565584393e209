"""A route that changes something: propose it once, wait as wanted, answer."""

from __future__ import annotations

from aiohttp import web

from gateways.http.answering import Shape, respond
from gateways.http.call import Call
from gateways.http.idempotency import propose_once
from gateways.http.proposing import Patience, Proposed, Until
from gateways.http.queries import choice, seconds

WAITS = ("wait", "timeout_s")
"""The query parameters of every route that changes something."""

_UNTIL: dict[str, Until] = {
    "verdict": "verdict",
    "outcome": "outcome",
    "none": "none",
}
_WAIT_S = 30.0


async def decide(call: Call, proposed: Proposed, shape: Shape) -> web.Response:
    """Propose and answer; ``shape`` gives a success its status and body."""
    answer = await propose_once(call, proposed, patience_of(call))
    return respond(call, answer, shape)


def patience_of(call: Call) -> Patience:
    """How far the caller wants to hear: ``?wait=`` and ``?timeout_s=``."""
    until = choice(call.request, "wait", tuple(_UNTIL)) or "outcome"
    return Patience(_UNTIL[until], seconds(call.request, "timeout_s", _WAIT_S))
