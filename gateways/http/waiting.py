"""Waiting for a run, with a deadline: the hot channel is a hint, the store is true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import anyio

from bus import Bus
from contracts import (
    ENDED,
    BusUnavailable,
    Envelope,
    NotFound,
    RunRow,
    RunState,
)
from contracts.envelope import RunEnded, RunEventSaid
from gateways.http.call import Call
from gateways.http.queries import an_id
from plans import resume_fold

_LOOK_AGAIN_S = 1.0
_LOOK_UNHEARD_S = 0.1
_PAGE = 500
_PAUSED_FOR_A_PERSON = frozenset(
    {"approval", "gate", "error", "needs_attention", "budget", "frozen", "not_started"}
)


async def current(call: Call, row: RunRow) -> RunState:
    """The state of a run as of now: its projection and the events after it."""
    state = row.state
    while state.status not in ENDED:
        tail = await call.door.store.runs.events(
            row.tenant, row.id, after=state.seq, limit=_PAGE
        )
        if not tail:
            break

        state = resume_fold(state, tail)

    return state


async def named_run(call: Call) -> RunRow:
    """The run that the path names. Raises InvalidInput ``invalid_id``, NotFound."""
    return await get_run(call, an_id(call.path("id"), "run"))


async def get_run(call: Call, run_id: str) -> RunRow:
    """The row of a run of the caller's tenant. Raises NotFound."""
    row = await call.door.store.runs.get(call.tenant, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")

    return row


class RunWatch:
    """Listens to a run from before it begins, so that its end is not missed.

    While the bus is away it only looks into the store, now and then.
    """

    def __init__(self, bus: Bus, run_id: str) -> None:
        self._bus = bus
        self._life = AsyncExitStack()
        self._heard: AsyncIterator[Envelope] | None = None
        self.run_id = run_id

    async def __aenter__(self) -> Self:
        """The watch begins."""
        listening = self._bus.listen(f"run:{self.run_id}:rest")
        with suppress(BusUnavailable):
            self._heard = await self._life.enter_async_context(listening)

        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The watch ends."""
        await self._life.aclose()

    async def settled(self, call: Call, run_id: str, timeout_s: float) -> RunRow:
        """The row once the run ended or waits for a person, or when time is over.

        A run of another id than the watched one is looked at again and again.
        Raises NotFound.
        """
        door = call.door
        give_up = door.clock.monotonic() + timeout_s
        while True:
            left = give_up - door.clock.monotonic()
            if self._heard and run_id == self.run_id and left > 0:
                await self._hear(self._heard, min(left, _LOOK_AGAIN_S))
            elif left > 0:
                await door.clock.sleep(min(left, _LOOK_UNHEARD_S))

            row = await get_run(call, run_id)
            if _is_settled(row) or left <= 0 or door.closing.is_set():
                return row

    async def _hear(self, heard: AsyncIterator[Envelope], seconds: float) -> None:
        """Return at news that may settle the run, at the latest after so long."""
        with anyio.move_on_after(seconds):
            try:
                while not _is_news(await anext(heard)):
                    pass
            except BusUnavailable:
                # more than the buffer holds, or the bus is away: the store is read
                self._heard = None


def _is_settled(row: RunRow) -> bool:
    state = row.state
    if state.status == "paused":
        return state.paused_reason in _PAUSED_FOR_A_PERSON

    return state.status in ENDED


def _is_news(envelope: Envelope) -> bool:
    if isinstance(envelope.body, RunEnded):
        return True

    said = envelope.body
    return isinstance(said, RunEventSaid) and said.event.type == "run_paused"
