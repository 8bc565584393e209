"""Saying something in a conversation, and waiting for what is replied."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from typing import NamedTuple

import anyio
import structlog
from aiohttp import web

from contracts import (
    ENDS_TURN,
    LIMITS,
    Approved,
    Awaiting,
    BusUnavailable,
    ConversationRow,
    DecisionRecord,
    Envelope,
    Fault,
    InboxFull,
    InboxItem,
    InvalidInput,
    JsonObject,
    Refused,
    TemporaryError,
    TurnEvent,
    UserSpoke,
    digest,
    first_decision_of,
    said,
    turn_id_of,
    words_of,
)
from gateways.http.answering import respond
from gateways.http.call import Call
from gateways.http.idempotency import AGAIN_S, Kept, forget, is_in_flight, keep_key
from gateways.http.problems import json_response, problem_response
from gateways.http.proposing import Answer, Patience, judged

_log = structlog.get_logger("http")

_LOOK_AGAIN_S = 1.0
_PAGE = 200


class Spoken(NamedTuple):
    """A text that lies in a conversation's inbox, and the turn that it opens."""

    row: ConversationRow
    item_id: str
    after: int
    """The last event of the log that stood before it."""

    is_new: bool = True
    """Whether it was laid in just now, so that its turn has not ended before."""

    in_flight: bool = False
    """Whether an earlier request of the same key may still wait for the reply."""

    @property
    def turn_id(self) -> str:
        """The turn."""
        return turn_id_of(self.row.id, self.item_id)

    @property
    def decision_id(self) -> str:
        """Its first decision."""
        return first_decision_of(self.row.id, self.item_id)


async def speak(
    call: Call, row: ConversationRow, text: str, patience: Patience
) -> web.Response:
    """Say it, and answer with the reply if it is wanted, and there is one in time.

    Raises what ``say`` does, and ``request_in_progress`` while an earlier request of
    the same key waits.
    """
    async with call.door.bus.listen(words_of(row.id)) as heard:
        spoken = await say(call, row, text)
        if spoken.in_flight:
            short = min(patience.timeout_s, AGAIN_S)
            patience = patience._replace(timeout_s=short)

        give_up = call.door.clock.monotonic() + patience.timeout_s
        if not await _wants_reply(call, spoken, patience):
            return await answer_to(call, spoken, None)

        end = await ended(call, spoken, give_up, heard)
        if end is None and spoken.in_flight:
            raise TemporaryError(code="request_in_progress")

    return await answer_to(call, spoken, end)


async def _wants_reply(call: Call, spoken: Spoken, patience: Patience) -> bool:
    """Whether the caller waits for the turn's end, which any verdict but yes is."""
    if patience.until != "verdict":
        return patience.until == "outcome"

    record = await judged(call, spoken.decision_id, patience.timeout_s)
    return record is None or not isinstance(record.verdict, Approved)


async def say(call: Call, row: ConversationRow, text: str) -> Spoken:
    """Lay a text into the inbox and ring; the same key again says it once.

    Raises InvalidInput for no text, Conflict ``idempotency_key_reused``, BusUnavailable
    before anything is laid in, InboxFull.
    """
    words = _words(text)
    await call.door.bus.ping()
    kept = await keep_key(call, f"{call.asked.route} {row.id}", digest({"text": words}))
    item_id = f"said:{kept.row.decision_id if kept else call.asked.message_id}"
    item = InboxItem(
        id=item_id,
        kind="said",
        at=call.door.at(),
        body={
            "text": words,
            "principal": call.principal.plain(),
            "channel": call.channel.plain(),
            "correlation_id": call.asked.message_id,
        },
    )
    spoken = Spoken(row, item_id, row.state.seq)
    call.headers["X-Decision-Id"] = spoken.decision_id
    call.headers["X-Correlation-Id"] = call.asked.message_id
    if not await _lay(call, row, item, kept):
        in_flight = kept is not None and is_in_flight(call, kept.row)
        spoken = spoken._replace(after=0, is_new=False, in_flight=in_flight)

    bell = said(
        UserSpoke(conversation_id=row.id),
        by="http",
        tenant=row.tenant,
        at=item.at,
        id=call.asked.message_id,
        traceparent=call.traceparent,
    )
    try:
        await call.door.bus.publish(bell)
    except BusUnavailable as error:  # what lies in the inbox is found all the same
        _log.warning("hint.dropped", what="user_spoke", error=error.message)

    return spoken


async def _lay(
    call: Call, row: ConversationRow, item: InboxItem, kept: Kept | None
) -> bool:
    """Lay it into the inbox; a key whose text found no room is free again."""
    conversations, most = call.door.store.conversations, LIMITS["inbox_items"]
    try:
        return await conversations.put(row.tenant, row.id, item, most=most)
    except InboxFull:
        if kept is not None and kept.first:
            await forget(call, kept.row)

        raise


async def ended(
    call: Call, spoken: Spoken, give_up: float, heard: AsyncIterator[Envelope]
) -> TurnEvent | None:
    """The end of the turn; None if it has not come when the clock shows ``give_up``.

    ``heard`` tells when to look; a hint that is lost costs a second.
    """
    door, end = call.door, None
    if not spoken.is_new:
        end, spoken = await look(call, spoken)

    while end is None and not door.closing.is_set():
        left = give_up - door.clock.monotonic()
        if left <= 0:
            return None

        with anyio.move_on_after(min(left, _LOOK_AGAIN_S)):
            await _news(heard)

        end, spoken = await look(call, spoken)

    return end


async def _news(heard: AsyncIterator[Envelope]) -> None:
    """Return when a turn of the conversation has ended; not if the bus goes away."""
    try:
        async for envelope in heard:
            if isinstance(envelope.body, UserSpoke):
                return
    except BusUnavailable:
        pass  # the log is looked at all the same

    await anyio.sleep_forever()


async def look(call: Call, spoken: Spoken) -> tuple[TurnEvent | None, Spoken]:
    """The end of the turn if it stands in the log, and from where to look on."""
    row = spoken.row
    while True:
        tail = await call.door.store.conversations.events(
            row.tenant, row.id, after=spoken.after, limit=_PAGE
        )
        for event in tail:
            spoken = spoken._replace(after=event.seq)
            if event.turn_id == spoken.turn_id and event.type in ENDS_TURN:
                return event, spoken

        if len(tail) < _PAGE:
            return None, spoken


async def answer_to(call: Call, spoken: Spoken, end: TurnEvent | None) -> web.Response:
    """The reply; what the gate said instead; or that it is still to come."""
    if end is None:
        return json_response(_later(spoken), 202, call.headers)

    fault = end.payload.get("error")
    if fault is not None:
        error = Fault.model_validate(fault)
        return problem_response(error, call.asked.request_id, call.headers)

    record = None
    if not end.payload.get("approved"):
        decisions = call.door.store.decisions
        record = await decisions.get(spoken.row.tenant, spoken.decision_id)

    if record is not None and _is_answer(record):
        answer = Answer(record.id, record.correlation_id, record.verdict)
        return respond(call, answer, lambda _, result: (200, result))

    return json_response(reply_view(end), 200, call.headers)


def reply_view(end: TurnEvent) -> JsonObject:
    """What a turn came to, as callers see it."""
    names = ("reply", "decisions", "runs", "waits")
    told = {name: end.payload[name] for name in names if name in end.payload}
    return {"turn_id": end.turn_id, **told}


def _is_answer(record: DecisionRecord) -> bool:
    """Whether the gate's verdict on the turn is all there is to tell."""
    if isinstance(record.verdict, Awaiting):
        return record.outcome is None

    return isinstance(record.verdict, Refused)


def _later(spoken: Spoken) -> JsonObject:
    return {
        "turn_id": spoken.turn_id,
        "decision_id": spoken.decision_id,
        "state": "open",
    }


def _words(text: str) -> str:
    """A text in one form, without characters that only a terminal would obey."""
    plain = unicodedata.normalize("NFC", text)
    kept = [one for one in plain if one in "\n\t" or unicodedata.category(one) != "Cc"]
    words = "".join(kept).strip()
    if not words:
        raise InvalidInput("There is no text.", code="invalid")

    return words
