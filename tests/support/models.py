"""A model for tests: it answers as told, and keeps what it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from contracts import FunctionCall, ModelAnswer, ModelRequest
from contracts.models import ModelUsage
from llm import ModelEvent


class ModelOf:
    """Model that gives these answers in order, the last one for good."""

    provider = "fake"
    name = "fake-1"

    def __init__(self, *answers: ModelAnswer) -> None:
        self.asked: list[ModelRequest] = []
        self.answers = deque(answers or (words("Hello"),))
        self.rule: Callable[[ModelRequest], ModelAnswer] | None = None
        """Answers by what is asked, however often, instead."""

    def will(self, *answers: ModelAnswer) -> None:
        """From now on these are the answers."""
        self.answers = deque(answers)

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, timeout_s: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        """See Model."""
        self.asked.append(request)
        answer = self.rule(request) if self.rule is not None else self._next()

        async def events() -> AsyncIterator[ModelEvent]:
            yield answer

        yield events()

    def _next(self) -> ModelAnswer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
        """See Model."""
        return 100, 0.0

    async def close(self) -> None:
        """See Model."""


def words(text: str, *calls: tuple[str, str], **more: Any) -> ModelAnswer:
    """A whole answer: a text, and calls of functions with arguments as JSON."""
    given: dict[str, Any] = {
        "ending": "completed",
        "text": text,
        "calls": tuple(
            FunctionCall(call_id=f"call_{n}", name=name, arguments=arguments)
            for n, (name, arguments) in enumerate(calls, 1)
        ),
        "usage": ModelUsage(input_tokens=11, output_tokens=7),
        "provider": "fake",
        "model": "fake-1",
    }
    return ModelAnswer(**{**given, **more})
