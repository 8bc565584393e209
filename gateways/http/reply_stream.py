"""A reply as server-sent events: the model's words as they come, then the whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import anyio
from aiohttp_sse import EventSourceResponse, sse_response

from contracts import (
    BusUnavailable,
    ConversationRow,
    Envelope,
    Fault,
    JsonObject,
    SluicegateError,
    TemporaryError,
    TextSaid,
    TurnEvent,
    UserSpoke,
    words_of,
)
from gateways.http.call import Call
from gateways.http.problems import problem
from gateways.http.speaking import Spoken, look, reply_view, say
from gateways.http.streams import HEARTBEAT_S, STALLED_S, KeyWatch, one_more

_LOOK_S = 1.0
"""How often the log is looked at, should a hint get lost."""


async def stream_reply(
    call: Call, row: ConversationRow, text: str, timeout_s: float
) -> EventSourceResponse:
    """``delta`` as they come, then ``reply`` or ``error``, then ``end``.

    A hint that is lost is no harm: the reply has every word. Raises what ``say`` and
    ``one_more`` do.
    """
    with one_more(call):
        return await _stream(call, row, text, timeout_s)


async def _stream(
    call: Call, row: ConversationRow, text: str, timeout_s: float
) -> EventSourceResponse:
    async with call.door.bus.listen(words_of(row.id)) as heard:
        spoken = await say(call, row, text)
        async with sse_response(
            call.request,
            headers=call.headers,
            ping_interval=HEARTBEAT_S,
            send_timeout=STALLED_S,
            allow_all_methods=True,
        ) as response:
            reply = _Reply(call, response, spoken)
            with anyio.move_on_after(timeout_s):
                await reply.follow(heard)

            await reply.finish()

        return response


class _Reply:
    """One reply that is streamed."""

    def __init__(
        self, call: Call, response: EventSourceResponse, spoken: Spoken
    ) -> None:
        self._call = call
        self._response = response
        self._spoken = spoken
        self._key = KeyWatch(call)
        self._end: TurnEvent | None = None
        self._error: SluicegateError | None = None
        self._news = asyncio.Event()

    async def follow(self, heard: AsyncIterator[Envelope]) -> None:
        """Send the words of the turn until it has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            try:
                async for envelope in heard:
                    await self._send_words(envelope)
            except BusUnavailable:
                return  # the end is watched for all the same

    async def finish(self) -> None:
        """Say how it ended, and that it is over."""
        try:
            await self._say(*self._ending())
            await self._say("end", {})
        except (ConnectionError, TimeoutError):
            return  # the reader has gone; the reply is in the history

    def _ending(self) -> tuple[str, JsonObject]:
        """The last event before ``end``."""
        if self._end is None:
            if self._error is not None:
                return "error", self._problem(self._error)

            return "open", {"turn_id": self._spoken.turn_id, "state": "open"}

        if "error" in self._end.payload:
            fault = Fault.model_validate(self._end.payload["error"])
            return "error", self._problem(fault)

        return "reply", reply_view(self._end)

    def _problem(self, error: SluicegateError | Fault) -> JsonObject:
        request_id = self._call.asked.request_id
        return problem(error.code, error.message, error.details, request_id)

    async def _watch(self, scope: anyio.CancelScope) -> None:
        try:
            await self._wait_for_end()
        except SluicegateError as error:
            self._error = error

        scope.cancel()

    async def _wait_for_end(self) -> None:
        """Raises SluicegateError."""
        door = self._call.door
        while self._end is None:
            if door.closing.is_set():
                raise TemporaryError(code="draining")

            await self._key.check()
            self._end, self._spoken = await look(self._call, self._spoken)
            if self._end is None:
                with anyio.move_on_after(_LOOK_S):
                    await self._news.wait()

                self._news.clear()

    async def _send_words(self, envelope: Envelope) -> None:
        words = envelope.body
        if isinstance(words, UserSpoke):
            self._news.set()

        if isinstance(words, TextSaid) and words.turn_id == self._spoken.turn_id:
            await self._say("delta", {"text": words.text})

    async def _say(self, event: str, data: JsonObject) -> None:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        await self._response.send(text, event=event)
