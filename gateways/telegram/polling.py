"""Polling: updates are fetched, kept, and only then confirmed."""

from __future__ import annotations

import structlog

from contracts import TemporaryError
from gateways.telegram.bot_api import BotApiError
from gateways.telegram.office import Office
from gateways.telegram.reception import keep
from gateways.telegram.settings import DOOR
from gateways.telegram.updates import BadUpdate, id_of

KINDS = ["message", "edited_message", "callback_query", "my_chat_member"]
"""What this door wants to hear of."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Polling:
    """Fetches updates until cancelled. Only one process may do so at a time."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._offset: int | None = None
        self._log = structlog.get_logger(DOOR).bind()

    async def work(self) -> None:
        """Fetch and keep, again and again; after a failure later and later."""
        pause_s, ready = _FIRST_PAUSE_S, False
        while True:
            try:
                if not ready:
                    await self._office.api.call("deleteWebhook")
                    ready = True

                await self.fetch()
                pause_s = _FIRST_PAUSE_S
            except (BotApiError, TemporaryError) as error:
                kind = error.kind if isinstance(error, BotApiError) else error.code
                self._log.warning("telegram.polling", reason=kind, pause_s=pause_s)
                ready = ready and kind != "conflict"
                await self._office.clock.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def fetch(self) -> None:
        """Fetch once, and keep what came. Raises BotApiError, StoreUnavailable."""
        poll_s, before = self._office.settings.poll_s, self._offset
        updates = await self._office.api.call(
            "getUpdates",
            longer_s=poll_s,
            offset=self._offset,
            timeout=poll_s,
            allowed_updates=KINDS,
        )
        for raw in updates if isinstance(updates, list) else []:
            try:
                await keep(self._office, raw)
                self._offset = id_of(raw) + 1
            except BadUpdate:
                self._log.warning("telegram.ignored", reason="bad_update")

        if updates and self._offset == before:
            await self._office.clock.sleep(_FIRST_PAUSE_S)
