"""No model: every call ends at once, and says what to configure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts import ModelAnswer, ModelRequest
from llm.protocol import ModelEvent
from llm.streams import Tell, streamed

_MESSAGE = (
    "No model is configured: set llm.provider, llm.model and llm.api_key, or "
    "llm.provider = 'scripted' and llm.script."
)


class Unconfigured:
    """Model that answers nothing but ``model_not_configured``; see the protocol."""

    provider = "none"
    name = ""

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, timeout_s: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        """See Model."""

        async def produce(tell: Tell) -> None:
            tell(
                ModelAnswer(
                    ending="unavailable",
                    provider=self.provider,
                    code="model_not_configured",
                    message=_MESSAGE,
                )
            )

        async with streamed(produce) as events:
            yield events

    def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
        """See Model."""
        return 0, 0.0

    async def close(self) -> None:
        """See Model."""
