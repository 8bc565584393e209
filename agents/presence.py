"""Presence: a process says every few seconds that it lives, and what it can do."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio
import structlog

from agents.activation import Chore
from contracts import Capabilities, Clock, StoreUnavailable, stamp
from store import Workers

_EVERY_S = 5.0
_GOODBYE_S = 1.0


class Presence:
    """The heartbeat of one process while its context lasts.

    Guarantees: who looks after the first beat sees it; a process that ends in order
    is not seen any more, one that was killed is forgotten by its silence.
    """

    def __init__(
        self,
        workers: Workers,
        clock: Clock,
        about: Capabilities,
        *,
        running: Callable[[], int] = int,
    ) -> None:
        """``about`` is what never changes of it; ``running`` counts its runs now."""
        self._workers = workers
        self._clock = clock
        self._about = about
        self._running = running
        self._log = structlog.get_logger("process").bind()

    async def __aenter__(self) -> Self:
        """Beat for the first time. Raises StoreUnavailable."""
        await self.beat()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say goodbye; if nobody hears it soon, the silence says the same."""
        with anyio.move_on_after(_GOODBYE_S, shield=True):
            try:
                return await self._workers.leave(self._about.worker)
            except StoreUnavailable as unheard:
                self._log.warning("process.left_unheard", reason=unheard.code)
                return None

        self._log.warning("process.left_unheard", reason="deadline")
        return None

    async def beat(self) -> None:
        """Raises StoreUnavailable."""
        seen = {"running": self._running(), "seen_at": stamp(self._clock.now())}
        await self._workers.heartbeat(self._about.model_copy(update=seen))

    def chores(self) -> tuple[Chore, ...]:
        """What it does by itself."""
        return (Chore("heartbeat", _EVERY_S, self.beat),)
