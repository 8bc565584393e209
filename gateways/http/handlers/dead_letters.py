"""``/dead-letters``: messages that nobody could handle."""

from __future__ import annotations

from aiohttp import web

from bus import DeadLetter
from contracts import NotFound
from gateways.http.answering import plainly
from gateways.http.call import Call
from gateways.http.deciding import WAITS, decide
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed
from gateways.http.queries import limit, only
from gateways.http.views import dead_letter_view


async def listing(call: Call) -> web.Response:
    """``GET /dead-letters``: the latest, newest first, without what they say."""
    only(call.request, ("limit",))
    letters = await call.door.bus.dead_letters(limit=limit(call.request))
    items = [dead_letter_view(letter) for letter in letters]
    return json_response({"items": items, "next_cursor": None}, headers=call.headers)


async def one(call: Call) -> web.Response:
    """``GET /dead-letters/{id}``: with its original text."""
    only(call.request, ())
    letter = await _named(call)
    original = letter.original.decode("utf-8", errors="backslashreplace")
    body = {**dead_letter_view(letter), "original": original}
    return json_response(body, headers=call.headers)


async def retry(call: Call) -> web.Response:
    """``POST /dead-letters/{id}/retry``: it is published once more."""
    only(call.request, WAITS)
    args = {"id": call.path("id")}
    return await decide(call, Proposed("dead_letter.retry", args), plainly(200))


async def drop(call: Call) -> web.Response:
    """``DELETE /dead-letters/{id}``: it is forgotten."""
    only(call.request, WAITS)
    args = {"id": call.path("id")}
    return await decide(call, Proposed("dead_letter.drop", args), plainly(200))


async def _named(call: Call) -> DeadLetter:
    letter = await call.door.bus.dead_letter(call.path("id"))
    if letter is None:
        raise NotFound(f"There is no dead letter {call.path('id')}.")

    return letter
