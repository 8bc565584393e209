"""``/conversations``: make one, speak in it, read what was said and done in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import Field, StringConstraints

from contracts import (
    ChatMessage,
    ConversationRow,
    InvalidInput,
    Message,
    NotFound,
    TurnEvent,
)
from contracts.action_args import CreateConversation
from gateways.http.answering import plainly
from gateways.http.bodies import read_body
from gateways.http.call import Call
from gateways.http.deciding import WAITS, decide, patience_of
from gateways.http.lists import page_response
from gateways.http.problems import json_response
from gateways.http.proposing import Proposed
from gateways.http.queries import an_id, only
from gateways.http.reply_stream import stream_reply
from gateways.http.speaking import speak
from gateways.http.views import conversation_view, turn_view
from store import Page

T = TypeVar("T")

_ALL = "policy.manage"
"""Whoever may change the policy may read every conversation."""


class Words(Message):
    """What a person says."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    timeout_s: Annotated[float, Field(gt=0, le=60)] | None = None


async def create(call: Call) -> web.Response:
    """``POST /conversations``: 201 with its id."""
    only(call.request, WAITS)
    body = await read_body(call.request, CreateConversation, may_be_empty=True)
    return await decide(
        call, Proposed("conversation.create", body.plain()), plainly(201)
    )


async def listing(call: Call) -> web.Response:
    """``GET /conversations``: the caller's own, newest first; all for an admin."""
    subject = None if _ALL in call.principal.permissions else call.principal.subject

    async def fetch(limit: int, after: str | None) -> Page[ConversationRow]:
        return await call.door.store.conversations.page(
            call.tenant, subject=subject, limit=limit, after=after
        )

    return await page_response(call, fetch, conversation_view)


async def one(call: Call) -> web.Response:
    """``GET /conversations/{id}``."""
    only(call.request, ())
    row = await _named(call)
    return json_response(conversation_view(row), headers=call.headers)


async def say(call: Call) -> web.StreamResponse:
    """``POST /conversations/{id}/messages``: the reply, in JSON or as it comes."""
    only(call.request, WAITS)
    patience = patience_of(call)
    words = await read_body(call.request, Words)
    row = await _own(call)
    if row.channel.kind != "http":
        raise InvalidInput(
            f"This conversation is held in {row.channel.kind}; write there."
        )

    if words.timeout_s:
        patience = patience._replace(timeout_s=words.timeout_s)

    if "text/event-stream" in call.request.headers.get("Accept", ""):
        return await stream_reply(call, row, words.text, patience.timeout_s)

    return await speak(call, row, words.text, patience)


async def messages(call: Call) -> web.Response:
    """``GET /conversations/{id}/messages``, oldest first."""
    row = await _named(call)

    async def fetch(limit: int, after: str | None) -> Page[ChatMessage]:
        found = await call.door.store.conversations.messages(
            row.tenant, row.id, after=int(after or 0), limit=limit + 1
        )
        return _page(found, limit, lambda one: one.n)

    return await page_response(call, fetch, ChatMessage.plain)


async def turns(call: Call) -> web.Response:
    """``GET /conversations/{id}/turns``: the turn log with its telemetry."""
    row = await _named(call)

    async def fetch(limit: int, after: str | None) -> Page[TurnEvent]:
        found = await call.door.store.conversations.events(
            row.tenant, row.id, after=int(after or 0), limit=limit + 1
        )
        return _page(found, limit, lambda one: one.seq)

    return await page_response(call, fetch, turn_view)


async def cached_state(call: Call) -> web.Response:
    """``GET /conversations/{id}/cached-state``."""
    only(call.request, ())
    row = await _named(call)
    return json_response(row.recollection.cached_state, headers=call.headers)


async def _named(call: Call) -> ConversationRow:
    """The conversation of the path: the caller's own, or any for an admin."""
    id_ = an_id(call.path("id"), "cnv")
    row = await call.door.store.conversations.get(call.tenant, id_)
    mine = row is not None and row.subject == call.principal.subject
    if row is None or not (mine or _ALL in call.principal.permissions):
        raise NotFound(f"There is no conversation {id_}.")

    return row


async def _own(call: Call) -> ConversationRow:
    """The conversation of the path, in which only its owner speaks."""
    row = await _named(call)
    if row.subject != call.principal.subject:
        raise NotFound(f"There is no conversation {row.id} of yours.")

    return row


def _page(found: Sequence[T], limit: int, number: Callable[[T], int]) -> Page[T]:
    """A page of what is numbered, of which one more was read."""
    more = str(number(found[limit - 1])) if len(found) > limit else None
    return Page(tuple(found[:limit]), more)
