"""Nudges: something lies in the inbox of a run that may be ours."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import structlog

from bus import Bus
from contracts import BusUnavailable, Clock, Envelope
from contracts.envelope import RunNudged
from runs import Engine

_TOPIC = "nudge"
_AGAIN_S = 1.0
"""How long a bus that does not answer is left alone."""


class Nudges:
    """Passes nudges to the engine while its context lasts.

    A nudge that is lost is no harm: owners look at each renewal, the sweep at rest.
    """

    def __init__(self, bus: Bus, engine: Engine, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._engine = engine
        self._log = structlog.get_logger("workflow-agent").bind()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._task = asyncio.create_task(self._pass_on(), name="nudges")
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _pass_on(self) -> None:
        """Listen again at once if more came than could be passed on in time.

        What was missed while the bus did not answer, owners find at their renewal.
        """
        while True:
            try:
                async with self._bus.listen(_TOPIC) as heard:
                    async for envelope in heard:
                        self._nudge(envelope)
            except BusUnavailable as error:
                self._log.warning("alarm", alarm="nudges_lost", reason=error.code)
                if error.code != "bus_backlog":
                    await self._clock.sleep(_AGAIN_S)

    def _nudge(self, envelope: Envelope) -> None:
        if isinstance(envelope.body, RunNudged):
            self._engine.nudge(envelope.body.run_id, envelope.tenant)
