"""“typing…” in a chat while its turn runs."""

from __future__ import annotations

import asyncio

import structlog

from contracts import Clock
from gateways.telegram.bot_api import BotApi, BotApiError

_AGAIN_S = 4.5
"""Telegram shows it for five seconds."""

_LONGEST = 26
"""So often, then it stops by itself."""


class Typing:
    """Shows that something is being written; a call that fails ends it quietly."""

    def __init__(self, api: BotApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("telegram").bind()

    def begin(self, chat_id: int) -> None:
        """Show it in a chat from now on."""
        if chat_id not in self._tasks:
            task = asyncio.create_task(self._show(chat_id), name=f"typing in {chat_id}")
            self._tasks[chat_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(chat_id, None))

    def end(self, chat_id: int) -> None:
        """Show it no more."""
        task = self._tasks.get(chat_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End it everywhere."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()

        await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, chat_id: int) -> None:
        for _ in range(_LONGEST):
            try:
                await self._api.call("sendChatAction", chat_id=chat_id, action="typing")
            except BotApiError as error:
                self._log.debug("telegram.typing", kind=error.kind)
                return

            await self._clock.sleep(_AGAIN_S)
