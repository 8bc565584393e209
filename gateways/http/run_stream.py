"""A run's events as server-sent events: replayed from the store, then live.

Event id is seq, so a client that comes back with Last-Event-ID gets the rest.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from contracts import (
    LIMITS,
    TERMINAL,
    BusUnavailable,
    Envelope,
    InvalidInput,
    JsonObject,
    RunEvent,
    RunRow,
    SluicegateError,
    TemporaryError,
)
from contracts.envelope import RunEventSaid
from gateways.http.call import Call
from gateways.http.connections import Connection
from gateways.http.problems import problem
from gateways.http.queries import integer
from gateways.http.streams import HEARTBEAT_S, STALLED_S, KeyWatch, one_more
from gateways.http.views import event_view

_PAGE = 200
_LOOK_AGAIN_S = 5.0
"""A stream that hears nothing looks into the store so often: hints may be lost."""

_GOODBYE_S = 1.0
_BUS_AWAY_S = 1.0
"""So often a stream looks into the store while the bus tells it nothing."""


async def stream_events(call: Call, row: RunRow) -> web.StreamResponse:
    """The events after ``Last-Event-ID`` or ``?after=``, to the run's end.

    204 if the run has ended and there is nothing after that.
    Raises ``last_event_id_ahead``, ``too_many_streams``, ``draining``.
    """
    after = _after(call)
    end = await _last(call, row)
    last = end.seq if end is not None else 0
    if after > last:
        raise InvalidInput(
            f"Last-Event-ID is {after}, and the last event of this run is {last}.",
            code="last_event_id_ahead",
            details={"last": last},
        )

    # by the log: the row may tell of the end a moment later
    if end is not None and end.type in TERMINAL and after == last:
        return web.Response(status=204, headers=call.headers)

    with one_more(call):
        return await _stream(call, row, after)


async def _stream(call: Call, row: RunRow, after: int) -> EventSourceResponse:
    if call.request.transport is None:
        raise ConnectionResetError("The reader went before its stream began.")

    async with sse_response(
        call.request,
        headers=call.headers,
        ping_interval=HEARTBEAT_S,
        send_timeout=STALLED_S,
    ) as response:
        await _Stream(call, row, response, after).run()

    return response


class _Stream:
    """One stream: what was sent, where the next event comes from, how it ends."""

    def __init__(
        self, call: Call, row: RunRow, response: EventSourceResponse, after: int
    ) -> None:
        self._call = call
        self._row = row
        self._response = response
        self._sent = after
        self._key = KeyWatch(call)

    async def run(self) -> None:
        """Send everything up to the run's end, and then say why it is over.

        It is over too when the reader has gone or fell behind, when the key is no
        longer good, and when the service stops.
        """
        goodbye: tuple[str, JsonObject] | None = None
        async with anyio.create_task_group() as watch:
            for end in self._ends():
                watch.start_soon(_cancel_after, end, watch.cancel_scope)

            goodbye = await self._send_all()
            watch.cancel_scope.cancel()

        if goodbye is None and self._call.door.closing.is_set():
            goodbye = "error", self._problem(TemporaryError(code="draining"))

        if goodbye is not None:
            await self._say(*goodbye)

    async def _send_all(self) -> tuple[str, JsonObject] | None:
        """The last word to the reader; None if there is nobody to say it to."""
        try:
            while not await self._listen():
                await self._call.door.clock.sleep(_BUS_AWAY_S)
        except BusUnavailable:
            return "overflow", self._problem(_fell_behind())
        except SluicegateError as error:
            return "error", self._problem(error)
        except (ConnectionError, TimeoutError):
            return None

        return "end", {}

    async def _listen(self) -> bool:
        """Whether all was sent; while the bus is away, what the store has was.

        Raises BusUnavailable for a reader that fell behind, SluicegateError,
        ConnectionError.
        """
        topic, buffer = f"run:{self._row.id}", LIMITS["sse_buffered_events"]
        try:
            async with self._call.door.bus.listen(topic, buffer=buffer) as heard:
                await self._follow(heard)
        except BusUnavailable as error:
            if error.code == "bus_backlog":
                raise

            await self._key.check()
            return await self._replay()

        return True

    async def _follow(self, heard: AsyncIterator[Envelope]) -> None:
        """Send events to the terminal one. Raises SluicegateError, ConnectionError."""
        ended = await self._replay()
        while not ended:
            event = await self._next(heard)
            await self._key.check()
            if event is None or event.seq > self._sent + 1:
                ended = await self._replay()
            elif event.seq == self._sent + 1:
                ended = await self._send(event)

    async def _next(self, heard: AsyncIterator[Envelope]) -> RunEvent | None:
        """The next live event; None if it is time to look into the store."""
        with anyio.move_on_after(_LOOK_AGAIN_S):
            async for envelope in heard:
                if isinstance(envelope.body, RunEventSaid):
                    event = envelope.body.event
                    # signed for another run, and put here by somebody
                    if event.run_id == self._row.id:
                        return event

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

            await self._key.check()

    async def _send(self, event: RunEvent) -> bool:
        line = {"type": "run.event", "event": event_view(event, payload=True)}
        await self._response.send(_json(line), id=str(event.seq), event=event.type)
        self._sent = event.seq
        return event.type in TERMINAL

    def _ends(self) -> Iterator[Callable[[], Awaitable[object]]]:
        """What ends a stream from outside: it stalls, its reader goes, we close."""
        yield self._response.wait
        yield self._call.door.closing.wait
        connection = self._call.request.protocol
        if isinstance(connection, Connection):
            yield connection.gone.wait

    async def _say(self, event: str, data: JsonObject) -> None:
        with anyio.move_on_after(_GOODBYE_S):
            try:
                await self._response.send(_json(data), event=event)
            except (ConnectionError, TimeoutError):
                return

    def _problem(self, error: SluicegateError) -> JsonObject:
        request_id = self._call.asked.request_id
        return problem(error.code, error.message, error.details, request_id)


async def _cancel_after(
    end: Callable[[], Awaitable[object]], scope: anyio.CancelScope
) -> None:
    await end()
    scope.cancel()


def _fell_behind() -> SluicegateError:
    most = LIMITS["sse_buffered_events"]
    return TemporaryError(
        f"The reader is more than {most} events behind: come back with Last-Event-ID.",
        code="bus_backlog",
        details={"limit": most},
    )


def _json(data: JsonObject) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _after(call: Call) -> int:
    header = call.request.headers.get("Last-Event-ID")
    if header is None:
        return integer(call.request, "after", 0, 0, LIMITS["largest_integer"])

    if not (header.isascii() and header.isdigit() and len(header) < 16):
        raise InvalidInput("Last-Event-ID is not one of ours.", code="not_an_integer")

    return int(header)


async def _last(call: Call, row: RunRow) -> RunEvent | None:
    last = await call.door.store.runs.events(row.tenant, row.id, limit=1, order="desc")
    return last[0] if last else None
