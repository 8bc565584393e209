"""What tokens cost, and what a call can use at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic_core import to_json

from contracts import ModelRequest, ModelUsage

_PER_ITEM = 16
"""Tokens that a provider may add around an item of the prompt."""

_MILLION = 1_000_000


class Price(NamedTuple):
    """Of a million tokens, in the currency of the whole table."""

    input_per_million: float = 0.0
    output_per_million: float = 0.0


FREE = Price()


class Prices:
    """The price table; a model without a line costs nothing."""

    def __init__(self, table: Mapping[str, Price]) -> None:
        self._table = dict(table)

    def usage(
        self, model: str, input_tokens: int, output_tokens: int, *, guessed: bool
    ) -> ModelUsage:
        """These tokens of a model, with what they cost."""
        price = self._table.get(model, FREE)
        cost = (
            input_tokens * price.input_per_million
            + output_tokens * price.output_per_million
        ) / _MILLION
        return ModelUsage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost=cost,
            is_estimate=guessed,
        )

    def most(self, model: str, request: ModelRequest) -> ModelUsage:
        """What a call can use at most: no token is shorter than a byte."""
        said = [item.plain() for item in request.input]
        tools = [tool.plain() for tool in request.tools]
        told = to_json([request.instructions, request.output_schema, tools, said])
        input_tokens = len(told) + _PER_ITEM * (len(said) + len(tools) + 1)
        return self.usage(model, input_tokens, request.max_output_tokens, guessed=True)
