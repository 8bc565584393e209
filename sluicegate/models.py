"""The model that the configuration names."""

from __future__ import annotations

from pathlib import Path

from contracts import ConfigurationError
from llm import ModelChoice, Price
from sluicegate.config import Llm


def choice_of(llm: Llm) -> ModelChoice:
    """What is configured, its key read. Raises ConfigurationError."""
    return ModelChoice(
        provider=llm.provider,
        model=llm.model,
        api_key=_key(llm),
        base_url=llm.base_url,
        script=Path(llm.script) if llm.script else None,
        idle_s=llm.idle_s,
        prices={
            name: Price(price.input_per_million, price.output_per_million)
            for name, price in llm.prices.items()
        },
    )


def _key(llm: Llm) -> str:
    if llm.api_key is not None:
        return llm.api_key.get_secret_value().strip()

    if not llm.api_key_file:
        return ""

    try:
        return Path(llm.api_key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"llm.api_key_file: {error}") from error
