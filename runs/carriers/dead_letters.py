"""Dead letters: told once more, or forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bus import Bus
from contracts import NotFound, read
from contracts.action_args import OfId
from runs.carriers.carrying import Carried, Use


class DeadLetterHandling:
    """Carries ``dead_letter.retry`` and ``dead_letter.drop`` out."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def retry(self, use: Use) -> Carried:
        """See Carrier. The message is published as it was, to every group."""
        return await self._handle(use, self._bus.retry_dead_letter, "retried")

    async def drop(self, use: Use) -> Carried:
        """See Carrier."""
        return await self._handle(use, self._bus.drop_dead_letter, "dropped")

    async def _handle(
        self, use: Use, handle: Callable[[str], Awaitable[bool]], ending: str
    ) -> Carried:
        letter_id = read(OfId, use.decision.args).id
        if not await handle(letter_id):
            raise NotFound(f"There is no dead letter {letter_id}.")

        return Carried({"id": letter_id, "state": ending})
