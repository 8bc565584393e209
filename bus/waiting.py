"""The reply channel of a process: who waits for which answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contracts import Envelope, NoReply


class Waiter:
    """One caller who waits for the replies to one message."""

    __slots__ = ("_done", "_replies", "_timer", "_until")

    def __init__(
        self, timeout_s: float, until: Callable[[Envelope], bool] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._until = until
        self._replies: list[Envelope] = []
        self._done: asyncio.Future[tuple[Envelope, ...]] = loop.create_future()
        self._timer = loop.call_later(timeout_s, self._expire)

    def offer(self, reply: Envelope) -> None:
        """Take a reply; the one that ``until`` accepts ends the wait."""
        self._replies.append(reply)
        if not self._done.done() and (self._until is None or self._until(reply)):
            self._done.set_result(tuple(self._replies))

    async def replies(self) -> tuple[Envelope, ...]:
        """The replies up to the accepted one. Raises NoReply after the time."""
        try:
            return await self._done
        finally:
            self.stop()

    def stop(self) -> None:
        """Wait no more; nothing is raised for somebody who has gone."""
        self._timer.cancel()

    def _expire(self) -> None:
        if not self._done.done():
            self._done.set_exception(NoReply(received=tuple(self._replies)))


class ReplyChannel:
    """All who wait in this process, by the id of the message they sent."""

    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}

    def open(
        self,
        message_id: str,
        timeout_s: float,
        until: Callable[[Envelope], bool] | None,
    ) -> Waiter:
        """Begin to wait for replies to this message."""
        waiter = self._waiters[message_id] = Waiter(timeout_s, until)
        return waiter

    def close(self, message_id: str) -> None:
        """Nobody waits for replies to this message any more."""
        waiter = self._waiters.pop(message_id, None)
        if waiter is not None:
            waiter.stop()

    def deliver(self, reply: Envelope) -> bool:
        """Hand a reply to whoever waits for it; False if nobody does."""
        waiter = self._waiters.get(reply.in_reply_to or "")
        if waiter is None:
            return False

        waiter.offer(reply)
        return True
