"""The adapter of the official client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from openai import AsyncOpenAI

from contracts import Clock, ModelRequest
from llm.openai_responses.call import Call, Means
from llm.prices import Prices
from llm.protocol import ModelEvent
from llm.servers import Server
from llm.streams import Tell, streamed

_CONNECT_S = 5.0


class OpenAIResponses:
    """Model that speaks the Responses API; see the protocol.

    A call is tried up to three times, as long as nothing of an answer has come.
    """

    provider = "openai_responses"

    def __init__(self, server: Server, *, prices: Prices, clock: Clock) -> None:
        """Nothing is connected before the first call."""
        self.name = server.model
        self._prices = prices
        idle_s = server.idle_s
        timeout = httpx2.Timeout(
            None, connect=_CONNECT_S, read=idle_s, write=idle_s, pool=idle_s
        )
        self._client = AsyncOpenAI(
            api_key=server.api_key,
            base_url=server.base_url or None,
            max_retries=0,
            timeout=timeout,
        )
        self._means = Means(self._client, self.provider, prices, clock, idle_s)

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, timeout_s: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        """See Model."""

        async def produce(tell: Tell) -> None:
            call = Call(self._means, request, request.model or self.name, tell)
            tell(await call.answer(timeout_s))

        async with streamed(produce) as events:
            yield events

    def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
        """See Model."""
        most = self._prices.most(request.model or self.name, request)
        return most.tokens, most.cost

    async def close(self) -> None:
        """See Model."""
        await self._client.close()
