"""Hot topics: broadcasts reach whoever listens at that moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from contracts import BusUnavailable, Envelope


class Listener:
    """One listener of one topic: a context manager and an iterator of broadcasts.

    It never slows the broadcaster: beyond its buffer it ends with BusUnavailable,
    and so it does when broadcasts may have been missed.
    """

    def __init__(self, topics: Topics, topic: str, buffer: int) -> None:
        self._topics = topics
        self._topic = topic
        self._buffer = buffer
        self._queue: deque[Envelope] = deque()
        self._end: BusUnavailable | None = None
        self._wake: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Broadcasts are kept from here on."""
        self._topics.add(self._topic, self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._topics.remove(self._topic, self)

    def __aiter__(self) -> Listener:
        """The broadcasts, in order of sending."""
        return self

    async def __anext__(self) -> Envelope:
        """The next broadcast. Raises BusUnavailable after the last whole one."""
        while not self._queue:
            if self._end is not None:
                raise self._end

            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

        return self._queue.popleft()

    def hear(self, envelope: Envelope) -> None:
        """Take a broadcast, or note that there was no room for it."""
        if self._end is None and len(self._queue) < self._buffer:
            self._queue.append(envelope)
            self._look()
        else:
            self.end("The listener fell behind.", code="bus_backlog")

    def end(self, message: str, *, code: str) -> None:
        """Nothing more is heard; the first reason counts."""
        self._end = self._end or BusUnavailable(message, code=code)
        self._look()

    def _look(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Topics:
    """Who listens to what, in this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}

    def add(self, topic: str, listener: Listener) -> None:
        """From now on the listener hears the topic."""
        self._listeners.setdefault(topic, set()).add(listener)

    def remove(self, topic: str, listener: Listener) -> None:
        """The listener hears it no more; again is harmless."""
        heard = self._listeners.get(topic, set())
        heard.discard(listener)
        if not heard:
            self._listeners.pop(topic, None)

    def end(self, message: str, *, code: str) -> None:
        """End all who listen now: they may have missed something."""
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener.end(message, code=code)

    def broadcast(self, topic: str, make: Callable[[], Envelope]) -> None:
        """Tell every listener of the topic; without one nothing is made."""
        listeners = self._listeners.get(topic)
        if listeners:
            envelope = make()
            for listener in tuple(listeners):
                listener.hear(envelope)
