"""A run's events as server-sent events: replayed from the store, then live.

Event id is seq, so a client that comes back with Last-Event-ID gets the rest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator

import anyio
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from contracts import (
    ENDED,
    LIMITS,
    TERMINAL,
    BusUnavailable,
    Envelope,
    InvalidInput,
    PermanentError,
    RunEvent,
    RunRow,
)
from contracts.envelope import RunEventSaid
from gateways.http.auth import is_good
from gateways.http.call import Call
from gateways.http.problems import problem
from gateways.http.queries import integer
from gateways.http.views import event_view

_PAGE = 200
_HEARTBEAT_S = 15.0
_open_streams: Counter[str] = Counter()


async def stream_events(call: Call, row: RunRow) -> web.StreamResponse:
    """The events after ``Last-Event-ID`` or ``?after=``, to the run's end.

    204 if the run has ended and there is nothing after that.
    Raises ``last_event_id_ahead``, ``too_many_streams``.
    """
    after = _after(call)
    last = await _last_seq(call, row)
    if after > last:
        raise InvalidInput(
            f"The last event is {last}.",
            code="last_event_id_ahead",
            details={"last": last},
        )

    if row.state.status in ENDED and after == last:
        return web.Response(status=204, headers=call.headers)

    key = call.principal.id
    if _open_streams[key] >= LIMITS["sse_streams_per_key"]:
        raise PermanentError(code="too_many_streams")

    _open_streams[key] += 1
    try:
        return await _stream(call, row, after)
    finally:
        _open_streams[key] -= 1


async def _stream(call: Call, row: RunRow, after: int) -> EventSourceResponse:
    topic = f"run:{row.id}"
    buffer = LIMITS["sse_buffered_events"]
    async with (
        call.door.bus.listen(topic, buffer=buffer) as heard,
        sse_response(
            call.request,
            headers={**call.headers, "X-Accel-Buffering": "no"},
        ) as response,
    ):
        response.ping_interval = _HEARTBEAT_S
        sending = _Sending(call, row, response, after)
        try:
            await sending.run(heard)
        except (ConnectionError, BusUnavailable) as error:
            await _overflow(call, response, error)

    return response


class _Sending:
    """One stream: what was sent, and where the next event comes from."""

    def __init__(
        self, call: Call, row: RunRow, response: EventSourceResponse, after: int
    ) -> None:
        self._call = call
        self._row = row
        self._response = response
        self._sent = after

    async def run(self, heard: AsyncIterator[Envelope]) -> None:
        """Send everything up to the terminal event."""
        ended = await self._replay()
        while not ended:
            event = await self._next(heard)
            if event is None or event.seq > self._sent + 1:
                if not await self._may_go_on():
                    return

                ended = await self._replay()
            elif event.seq == self._sent + 1:
                ended = await self._send(event)

        await self._response.send("{}", event="end")

    async def _next(self, heard: AsyncIterator[Envelope]) -> RunEvent | None:
        """The next live event; None if it is time to look into the store."""
        with anyio.move_on_after(_HEARTBEAT_S):
            async for envelope in heard:
                if isinstance(envelope.body, RunEventSaid):
                    return envelope.body.event

        return None

    async def _replay(self) -> bool:
        """Send what the store has after the last sent event; whether that ended it."""
        while True:
            page = await self._call.door.store.runs.events(
                self._row.tenant, self._row.id, after=self._sent, limit=_PAGE
            )
            for event in page:
                if await self._send(event):
                    return True

            if len(page) < _PAGE:
                return False

    async def _send(self, event: RunEvent) -> bool:
        line = {"type": "run.event", "event": event_view(event, payload=True)}
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        await self._response.send(data, id=str(event.seq), event=event.type)
        self._sent = event.seq
        return event.type in TERMINAL

    async def _may_go_on(self) -> bool:
        door = self._call.door
        return await is_good(door.store.keys, self._call.principal.id, door.at())


async def _overflow(
    call: Call, response: EventSourceResponse, error: Exception
) -> None:
    """Tell a reader who fell behind, if it still listens."""
    if isinstance(error, BusUnavailable):
        told = problem("bus_backlog", "overflow", {}, call.request_id)
        with anyio.move_on_after(1):
            await response.send(json.dumps(told), event="overflow")


def _after(call: Call) -> int:
    header = call.request.headers.get("Last-Event-ID")
    if header is None:
        return integer(call.request, "after", 0, 0, LIMITS["largest_integer"])

    if not (header.isascii() and header.isdigit() and len(header) < 16):
        raise InvalidInput("Last-Event-ID is not one of ours.", code="not_an_integer")

    return int(header)


async def _last_seq(call: Call, row: RunRow) -> int:
    last = await call.door.store.runs.events(row.tenant, row.id, limit=1, order="desc")
    return last[0].seq if last else 0
