"""The adapter that answers from a script."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio

from contracts import Clock, FunctionCall, ModelAnswer, ModelRequest
from llm.prices import Prices
from llm.protocol import ModelEvent, TextDelta
from llm.scripted.script import Script, Then, filled, text_of
from llm.streams import Tell, streamed

_PIECES = re.compile(r"\S+\s*|\s+")
_CHARS_PER_TOKEN = 4


class Scripted:
    """Model that answers from a script; see the protocol."""

    provider = "scripted"

    def __init__(
        self, script: Script, *, name: str, prices: Prices, clock: Clock
    ) -> None:
        self.name = name
        self._script = script
        self._prices = prices
        self._clock = clock

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, timeout_s: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        """See Model."""

        async def produce(tell: Tell) -> None:
            with anyio.move_on_after(timeout_s) as limit:
                await self._say(request, tell)

            if not limit.cancelled_caught:
                return

            late = f"The model did not answer within {timeout_s:g} s."
            tell(self._answer(request, "timed_out", "model_timeout", late))

        async with streamed(produce) as events:
            yield events

    def worst_cost(self, request: ModelRequest) -> tuple[int, float]:
        """See Model."""
        most = self._prices.most(request.model or self.name, request)
        return most.tokens, most.cost

    async def close(self) -> None:
        """See Model."""

    async def _say(self, request: ModelRequest, tell: Tell) -> None:
        found = self._script.answer(request)
        if found is None:
            silent = "No line of the script fits what was asked."
            return tell(self._answer(request, "failed", "model_rejected", silent))

        then, names = found
        if then.delay_s:
            await self._clock.sleep(then.delay_s)

        if then.error is not None:
            error = then.error
            answer = self._answer(request, error.ending, error.code, error.message)
            after_s = {"retry_after_s": error.retry_after_s}
            return tell(answer.model_copy(update=after_s))

        text = text_of(then, names)
        for piece in _PIECES.findall(text):
            tell(TextDelta(piece))

        return tell(self._completed(request, then, text, names))

    def _completed(
        self, request: ModelRequest, then: Then, text: str, names: Mapping[str, str]
    ) -> ModelAnswer:
        turn = sum(1 for item in request.input if isinstance(item, FunctionCall))
        calls = tuple(
            FunctionCall(
                call_id=f"call_{turn + n}",
                name=call.name,
                arguments=json.dumps(filled(call.arguments, names)),
            )
            for n, call in enumerate(then.calls, 1)
        )
        said = text + "".join(call.arguments for call in calls)
        asked = self._prices.most(self.name, request).input_tokens
        usage = self._prices.usage(
            request.model or self.name,
            asked // _CHARS_PER_TOKEN,
            len(said) // _CHARS_PER_TOKEN + 1,
            guessed=False,
        )
        return ModelAnswer(
            ending="completed",
            text=text,
            calls=calls,
            usage=usage,
            provider=self.provider,
            model=request.model or self.name,
        )

    def _answer(
        self, request: ModelRequest, ending: str, code: str, message: str
    ) -> ModelAnswer:
        return ModelAnswer.model_validate(
            {
                "ending": ending,
                "provider": self.provider,
                "model": request.model or self.name,
                "code": code,
                "message": message,
            }
        )
