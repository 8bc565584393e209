"""A stream of events whose producer is a task of its own, gone with its reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from contracts import ModelAnswer
from llm.protocol import ModelEvent

Tell = Callable[[ModelEvent], None]


@asynccontextmanager
async def streamed(
    produce: Callable[[Tell], Awaitable[None]],
) -> AsyncIterator[AsyncIterator[ModelEvent]]:
    """What ``produce`` tells, up to its answer; it is cancelled when the context ends.

    Raises what ``produce`` raises, when its events have been read.
    """
    pipe = _Pipe()
    pipe.producer = asyncio.create_task(pipe.fill(produce), name="a model's stream")
    try:
        yield pipe
    finally:
        pipe.producer.cancel()
        await asyncio.wait([pipe.producer])


class _Pipe:
    """Events between a producer and its one reader."""

    producer: asyncio.Task[None]

    def __init__(self) -> None:
        self._events: deque[ModelEvent] = deque()
        self._came = asyncio.Event()
        self._is_over = False

    async def fill(self, produce: Callable[[Tell], Awaitable[None]]) -> None:
        """Run the producer; the reader is woken by its end too."""
        try:
            await produce(self._tell)
        finally:
            self._came.set()

    def _tell(self, event: ModelEvent) -> None:
        self._events.append(event)
        self._came.set()

    def __aiter__(self) -> AsyncIterator[ModelEvent]:
        """Itself."""
        return self

    async def __anext__(self) -> ModelEvent:
        """The next event. Raises StopAsyncIteration after the answer."""
        while not self._events:
            if self._is_over:
                raise StopAsyncIteration

            if self.producer.done():
                self._is_over = True
                self.producer.result()
                continue

            self._came.clear()
            await self._came.wait()

        event = self._events.popleft()
        self._is_over = isinstance(event, ModelAnswer)
        return event
