"""Which model the configuration names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from contracts import Clock, ConfigurationError, Finding
from llm.prices import Price, Prices
from llm.protocol import Model
from llm.scripted import Script, Scripted, read_script
from llm.servers import Server
from llm.unconfigured import Unconfigured


class ModelChoice(NamedTuple):
    """What is configured of a model."""

    provider: str = ""
    """``openai_responses`` or ``scripted``; empty: none."""

    model: str = ""
    api_key: str = ""
    base_url: str = ""
    script: Path | None = None
    idle_s: float = 60.0
    prices: Mapping[str, Price] = {}

    def __repr__(self) -> str:
        """Without the key."""
        return f"ModelChoice({self.provider!r}, {self.model!r})"


@asynccontextmanager
async def open_model(choice: ModelChoice, clock: Clock) -> AsyncIterator[Model]:
    """The model that is configured, closed at the end of the context.

    Without a provider it is one whose every call ends with ``model_not_configured``.
    Nothing is connected yet. Raises ConfigurationError for a choice that is not whole.
    """
    model = _model(choice, clock)
    try:
        yield model
    finally:
        await model.close()


async def examine_model(choice: ModelChoice) -> Finding:
    """What a look at the model of this choice finds, without a call that costs."""
    if not choice.provider:
        return Finding("model", "note", "none is configured: set llm.provider")

    try:
        if choice.provider == "scripted":
            return Finding("model", "note", f"scripted, from {_script(choice)[1]}")

        server = _server(choice)
    except ConfigurationError as error:
        return Finding("model", "bad", error.message)

    from llm.openai_responses.examination import examine  # noqa: PLC0415

    return await examine(server)


def _model(choice: ModelChoice, clock: Clock) -> Model:
    prices = Prices(choice.prices)
    match choice.provider:
        case "":
            return Unconfigured()
        case "openai_responses":
            # the client takes half a second to import: only if it is asked for
            from llm.openai_responses import OpenAIResponses  # noqa: PLC0415

            return OpenAIResponses(_server(choice), prices=prices, clock=clock)
        case "scripted":
            script, _ = _script(choice)
            name = choice.model or "scripted"
            return Scripted(script, name=name, prices=prices, clock=clock)

    raise ConfigurationError(
        f"llm.provider: {choice.provider!r} is none; use openai_responses or scripted"
    )


def _server(choice: ModelChoice) -> Server:
    if not choice.model:
        raise ConfigurationError("llm.model: name the model to ask")

    if not choice.api_key:
        raise ConfigurationError(
            "llm.api_key: set SLUICEGATE_LLM__API_KEY, or llm.api_key_file"
        )

    return Server(choice.model, choice.api_key, choice.base_url, choice.idle_s)


def _script(choice: ModelChoice) -> tuple[Script, Path]:
    if choice.script is None:
        raise ConfigurationError("llm.script: name the file to answer from")

    return read_script(choice.script), choice.script
