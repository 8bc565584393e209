"""Nudges: a bell that was heard where the conversation is not held, passed on."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import structlog

from agents.conversation.keeper import SPOKE, Keeper
from bus import Bus
from contracts import BusUnavailable, Clock, UserSpoke

_AGAIN_S = 1.0
"""How long a bus that does not answer is left alone."""


class Nudges:
    """Passes bells on to the keeper while its context lasts.

    One that is lost is no harm: an owner looks into its inbox now and then.
    """

    def __init__(self, bus: Bus, keeper: Keeper, clock: Clock) -> None:
        self._bus = bus
        self._keeper = keeper
        self._clock = clock
        self._log = structlog.get_logger("conversation").bind()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._task = asyncio.create_task(self._pass_on(), name="conversation nudges")
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
        while True:
            try:
                async with self._bus.listen(SPOKE) as heard:
                    async for envelope in heard:
                        if isinstance(envelope.body, UserSpoke):
                            self._keeper.nudge(envelope.body.conversation_id)
            except BusUnavailable as error:
                self._log.warning("hint.dropped", what="nudges", error=error.message)
                if error.code != "bus_backlog":
                    await self._clock.sleep(_AGAIN_S)
