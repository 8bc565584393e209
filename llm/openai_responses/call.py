"""One call: some tries, a stream, and one answer at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream

from contracts import Clock, ModelAnswer, ModelEnding, ModelRequest, ModelUsage
from llm.openai_responses import trouble
from llm.openai_responses.asking import body_of
from llm.openai_responses.reading import Reading, Told
from llm.openai_responses.trouble import Trouble
from llm.prices import Prices
from llm.protocol import TextDelta
from llm.streams import Tell

MOST_BYTES = 262_144
"""An answer is at most so long."""

_MOST_TRIES = 3
_FIRST_PAUSE_S = 0.5
_LINGER_S = 0.2
"""How long a provider has to close a stream that has told its end."""

_BREAKS = (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError)
"""What a stream may break with."""

_ENDINGS: dict[str, tuple[ModelEnding, str, str]] = {
    "incomplete": ("incomplete", "llm_incomplete", "The answer was cut short"),
    "refused": ("refused", "llm_refused", "The model declined to answer"),
    "failed": ("failed", "model_rejected", "The provider gave up"),
}


class Means(NamedTuple):
    """What every call of a model is made with."""

    client: AsyncOpenAI
    provider: str
    prices: Prices
    clock: Clock
    idle_s: float


class SilentError(Exception):
    """No event came for too long; what keeps a connection open is none."""


class Call:
    """A call under way."""

    def __init__(
        self, means: Means, request: ModelRequest, model: str, tell: Tell
    ) -> None:
        self._means = means
        self._request = request
        self._model = model
        self._tell = tell
        self._began = means.clock.monotonic()
        self._tries = 0
        self._request_id = ""
        self._reading = Reading()

    async def answer(self, timeout_s: float) -> ModelAnswer:
        """The end, by the deadline in seconds."""
        with anyio.move_on_after(timeout_s):
            return await self._tried()

        late = f"The model did not answer within {timeout_s:g} s."
        return self._troubled(Trouble("timed_out", "model_timeout", late))

    async def _tried(self) -> ModelAnswer:
        pause_s = _FIRST_PAUSE_S
        while True:
            self._tries += 1
            came = await self._try()
            if isinstance(came, ModelAnswer):
                return came

            after_s = pause_s if came.after_s is None else came.after_s
            if not self._may_try_again(came, after_s):
                return self._troubled(came)

            await self._means.clock.sleep(after_s)
            pause_s *= 2

    def _may_try_again(self, came: Trouble, after_s: float) -> bool:
        """Not once a piece of an answer has come: it is paid for, and was shown."""
        begun = self._reading.size > 0
        tries_left = self._tries < _MOST_TRIES
        return (
            came.may_pass
            and not begun
            and tries_left
            and after_s <= trouble.MOST_WAIT_S
        )

    async def _try(self) -> ModelAnswer | Trouble:
        """One try: an answer that counts, or what went wrong."""
        try:
            return await self._read()
        except (SilentError, openai.APITimeoutError):
            silent = f"The model said nothing for {self._means.idle_s:g} s."
            return Trouble("timed_out", "model_timeout", silent, may_pass=True)
        except openai.APIConnectionError as error:
            return self._broken(error)
        except openai.APIStatusError as error:
            self._request_id = error.request_id or ""
            now, headers = self._means.clock.now(), error.response.headers
            return trouble.of_status(error.status_code, error.body, headers, now)
        except openai.APIError as error:  # an error event within the stream
            return trouble.of_event(error.body)
        except _BREAKS as error:
            return self._broken(error)

    def _broken(self, error: Exception) -> Trouble:
        """A connection that was refused, broke, or brought what cannot be read."""
        why = f"The connection to the model broke: {type(error).__name__}."
        if self._request_id or self._reading.size:
            return Trouble("cut_off", "llm_incomplete", why, may_pass=True)

        return Trouble("unavailable", "model_unavailable", why, may_pass=True)

    async def _read(self) -> ModelAnswer | Trouble:
        reading = self._reading = Reading()
        async with await self._posted() as stream:
            self._request_id = stream.response.headers.get("x-request-id", "")
            events = aiter(stream)
            while reading.told is None:
                event = await self._next(events)
                if event is None:
                    lost = "The stream ended before the answer did."
                    return Trouble("cut_off", "llm_incomplete", lost, may_pass=True)

                piece = reading.take(event) if isinstance(event, dict) else ""
                if reading.size > MOST_BYTES:
                    await _spend(events)
                    large = f"The answer is larger than {MOST_BYTES} bytes."
                    return Trouble("too_large", "llm_too_large", large)

                if piece:
                    self._tell(TextDelta(piece))

            await _spend(events)

        return self._ended(reading.told)

    async def _posted(self) -> AsyncStream[object]:
        """The events as they were sent: typed ones would not hold them all."""
        return await self._means.client.post(
            "/responses",
            cast_to=object,
            body=body_of(self._request, self._model),
            stream=True,
            stream_cls=AsyncStream[object],
        )

    async def _next(self, events: AsyncIterator[Any]) -> Any:
        """The next event, None at the end. Raises SilentError."""
        with anyio.move_on_after(self._means.idle_s):
            return await anext(events, None)

        raise SilentError

    def _ended(self, told: Told) -> ModelAnswer | Trouble:
        if told.terminal == "error":
            return trouble.of_error(told.code, told.message)

        if told.terminal == "completed":
            return self._completed(told)

        if told.terminal == "failed":
            failed = trouble.of_error(told.code, told.message)
            if failed.ending != "failed":
                return failed

        ending, code, sentence = _ENDINGS[told.terminal]
        why = trouble.shown(told.message or told.code)
        message = f"{sentence}: {why}" if why else f"{sentence}."
        return self._answer(ending, told, code=code, message=message)

    def _completed(self, told: Told) -> ModelAnswer:
        if all(call.name and call.call_id for call in told.calls):
            return self._answer("completed", told)

        nameless = "The model calls a function without a name."
        bare = told._replace(calls=())
        return self._answer("failed", bare, code="llm_bad_output", message=nameless)

    def _answer(
        self, ending: ModelEnding, told: Told, *, code: str = "", message: str = ""
    ) -> ModelAnswer:
        return ModelAnswer(
            ending=ending,
            text=told.text,
            calls=told.calls,
            usage=self._usage(told),
            provider=self._means.provider,
            model=told.model or self._model,
            response_id=told.response_id,
            request_id=self._request_id,
            attempts=self._tries,
            latency_ms=self._latency_ms(),
            code=code,
            message=message,
        )

    def _usage(self, told: Told) -> ModelUsage:
        """As told, or the most that it can be."""
        prices, given, made = self._means.prices, told.input_tokens, told.output_tokens
        if given is None or made is None:
            return prices.most(self._model, self._request)

        return prices.usage(self._model, given, made, guessed=False)

    def _troubled(self, came: Trouble) -> ModelAnswer:
        """The answer of a call that brought none, and may have cost all the same."""
        is_free = came.ending == "unavailable" or came.code == "model_rejected"
        most = self._means.prices.most(self._model, self._request)
        return ModelAnswer(
            ending=came.ending,
            usage=ModelUsage() if is_free else most,
            provider=self._means.provider,
            model=self._model,
            request_id=self._request_id,
            attempts=max(1, self._tries),
            latency_ms=self._latency_ms(),
            code=came.code,
            message=came.message,
            retry_after_s=came.after_s,
        )

    def _latency_ms(self) -> float:
        return round((self._means.clock.monotonic() - self._began) * 1_000, 3)


async def _spend(events: AsyncIterator[Any]) -> None:
    """Read a stream that counts for nothing any more to its end, or cut it off.

    Generators that are left half way would be ended by whatever thread collects them.
    """
    with anyio.move_on_after(_LINGER_S), suppress(*_BREAKS):
        async for _ in events:
            pass
