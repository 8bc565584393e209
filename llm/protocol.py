"""The model as everybody sees it: one call, many deltas, exactly one end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from contracts import ModelAnswer, ModelRequest, PermanentError


class TextDelta(NamedTuple):
    """A piece of the text, in order; a hint for people, never acted upon."""

    text: str


ModelEvent = TextDelta | ModelAnswer
"""What a stream yields: deltas, and one answer at the end."""


class Model(Protocol):
    """A model that can be asked.

    Guarantees, of every stream: it ends in exactly one ``ModelAnswer``, and nothing
    follows it. Nothing raises but cancellation: what goes wrong is the answer's
    ``ending`` with a ``code`` of the error table. Function calls and text are told
    only as whole, of a completed answer. The joined deltas may differ from the
    answer's text, which wins. The whole call, repeats included, ends by its deadline.
    Leaving the context closes the connection, whatever was read.
    """

    provider: str
    """``openai_responses`` or ``scripted``."""

    name: str
    """The model asked unless a request names another."""

    def stream(
        self, request: ModelRequest, *, timeout_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Ask, and hear the events of the answer, for so long in seconds at most."""

    def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
        """Tokens and cost that this call can have at most, to be set aside before."""

    async def close(self) -> None:
        """Close connections. Twice is harmless."""


async def answer_of(
    model: Model,
    request: ModelRequest,
    *,
    timeout_s: float,
    on_text: Callable[[str], None] | None = None,
) -> ModelAnswer:
    """Ask, and return the end; deltas go to ``on_text`` as they come."""
    async with model.stream(request, timeout_s=timeout_s) as events:
        async for event in events:
            if isinstance(event, ModelAnswer):
                return event

            if on_text is not None:
                on_text(event.text)

    raise PermanentError("The model's stream broke its promise.", code="internal")
