"""What a model is asked: one port, and what stands behind it."""

from __future__ import annotations

from llm.protocol import Model, ModelEvent, TextDelta, answer_of

__all__ = ["Model", "ModelEvent", "TextDelta", "answer_of"]
