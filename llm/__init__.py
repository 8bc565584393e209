"""What a model is asked: one port, and what stands behind it."""

from __future__ import annotations

from llm.opening import ModelChoice, examine_model, open_model
from llm.prices import Price
from llm.protocol import Model, ModelEvent, TextDelta, answer_of

__all__ = [
    "Model",
    "ModelChoice",
    "ModelEvent",
    "Price",
    "TextDelta",
    "answer_of",
    "examine_model",
    "open_model",
]
